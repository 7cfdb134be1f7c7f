package realnet

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// v1's routes for trying a node out, in a development environment alone.

// longestPause is the longest that /dev/test/parallel takes.
const longestPause = time.Hour

func (n *Node) developmentRoutes(s *routes) {
	// v1 asks its learner over HTTP in one, and over a websocket in the other; a node here has one way to it.
	s.handle(toTrain, http.MethodGet, "/dev/learning/act", n.tryAct)
	s.handle(toTrain, http.MethodGet, "/dev/learning/act_ws", n.tryAct)
	s.handle(toTrain, http.MethodGet, "/dev/learning/train", n.tryTrain)
	s.handle(toWatch, http.MethodGet, "/dev/http/get", func(c *gin.Context) { c.String(http.StatusOK, "OK") })
	s.handle(toWatch, http.MethodPost, "/dev/http/post", n.echo)
	s.handle(toWatch, http.MethodGet, "/dev/test/parallel", pause)
}

// tryAct asks the learner what to do in the state of the header or, without one, on an idle node.
func (n *Node) tryAct(c *gin.Context) {
	state := make([]float64, 1+2*max(1, n.options.Types))
	if text := c.GetHeader(headerLearnState); text != "" {
		var err error
		if state, err = wire.ParseState(text); err != nil {
			answerFailure(c, wire.NewV1Failure(wire.CodeInput, "%s: %v", headerLearnState, err))
			return
		}
	}
	if n.options.Learner == nil {
		answerFailure(c, wire.NewFailure(wire.CodeAction, "The action to be taken cannot be retrieved: the node has no learner"))
		return
	}
	a, err := n.options.Learner.Act(c.Request.Context(), state)
	if err != nil {
		answerFailure(c, wire.NewFailure(wire.CodeAction, "The action to be taken cannot be retrieved: %v", err))
		return
	}
	c.JSON(http.StatusOK, gin.H{"action": a.Index, "eps": a.Epsilon})
}

// tryTrain tells the learner the entry of the headers, which are those of the learner's own route.
func (n *Node) tryTrain(c *gin.Context) {
	e, err := parseEntry(c.GetHeader(headerLearnEID), c.GetHeader(headerLearnState), c.GetHeader(headerLearnAction),
		c.GetHeader(headerLearnReward))
	switch {
	case err != nil:
		answerFailure(c, wire.NewV1Failure(wire.CodeInput, "%v", err))
		return
	case n.options.Learner == nil:
		answerFailure(c, wire.NewV1Failure(wire.CodeGeneric, "the node has no learner"))
		return
	}
	if err := n.options.Learner.Train(c.Request.Context(), e); err != nil {
		answerFailure(c, wire.NewV1Failure(wire.CodeGeneric, "%v", err))
		return
	}
	c.String(http.StatusOK, "ok")
}

func (n *Node) echo(c *gin.Context) {
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, n.options.Limits.Body))
	if err != nil {
		f := wire.NewV1Failure(wire.CodeInput, "%v", err)
		if errors.As(err, new(*http.MaxBytesError)) {
			f = wire.NewFailure(wire.CodeTooLarge, "The body of the request is longer than %d bytes", n.options.Limits.Body)
		}
		answerFailure(c, f)
		return
	}
	c.Data(http.StatusOK, c.ContentType(), text)
}

// pause answers after so many seconds: whether a node serves several requests at once.
func pause(c *gin.Context) {
	text := c.DefaultQuery("seconds", "5")
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || !(x >= 0 && x <= longestPause.Seconds()) {
		answerFailure(c, wire.NewV1Failure(wire.CodeInput, "seconds is %.40q: write a number from 0 to %g",
			text, longestPause.Seconds()))
		return
	}
	timer := time.NewTimer(time.Duration(x * 1e9))
	defer timer.Stop()
	select {
	case <-timer.C:
		c.Status(http.StatusOK)
	case <-c.Request.Context().Done():
	}
}
