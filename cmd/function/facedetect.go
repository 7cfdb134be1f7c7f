package function

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/draw"
	_ "image/jpeg" // the formats of pictures
	_ "image/png"
	"io"
	"net/http"
	"runtime"
	"slices"

	pigo "github.com/esimov/pigo/core"
)

// cascade is pigo's classifier of faces, under pigo's licence, which stands beside it.
//
//go:embed pigo/facefinder
var cascade []byte

// What FaceDetect looks for, in pigo's terms.
const (
	leastFace  = 20  // pixels of its side
	leastScore = 5   // what scores less is taken for a face by mistake
	shift      = 0.1 // of the window, by its size
	scaling    = 1.1 // from one size of the window to the next
	overlap    = 0.2 // intersection over union of windows that see the same face
)

// FaceOptions bound what FaceDetect works on.
type FaceOptions struct {
	MaxBody   int64 // bytes of a picture as it is sent
	MaxPixels int   // of a picture: what it takes of memory, however small a file it comes from
}

// Face is a square around a face.
type Face struct {
	X     int     `json:"x"` // of its upper left corner, pixels
	Y     int     `json:"y"`
	Size  int     `json:"size"` // of its side, pixels
	Score float32 `json:"score"`
}

// Picture is the answer of FaceDetect: the size of what it was sent, and the faces in it, the surest one first.
type Picture struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Faces  []Face `json:"faces"`
}

// FaceDetect is a function that finds the faces in a picture, JPEG or PNG, and answers with a Picture as JSON. It looks at
// as many pictures at once as there are processors; further ones wait. A request without a body asks whether the function
// is there, as v1's clients do before they begin.
func FaceDetect(o FaceOptions) (http.Handler, error) {
	classifier, err := pigo.NewPigo().Unpack(cascade)
	if err != nil {
		return nil, fmt.Errorf("reading the cascade: %w", err)
	}
	return withHealth(&faceDetect{o, classifier, make(chan struct{}, runtime.GOMAXPROCS(0))}), nil
}

type faceDetect struct {
	FaceOptions
	classifier *pigo.Pigo
	processors chan struct{} // holds one for each picture that is worked on
}

// ServeHTTP implements http.Handler.
func (f *faceDetect) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, f.MaxBody))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		http.Error(w, fmt.Sprintf("the picture has more than %d bytes", f.MaxBody), http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the picture breaks off: "+err.Error(), http.StatusBadRequest)
		return
	case len(content) == 0:
		fmt.Fprintln(w, "send a picture, JPEG or PNG")
		return
	}
	select {
	case f.processors <- struct{}{}:
		defer func() { <-f.processors }()
	case <-r.Context().Done():
		return // nobody waits any more
	}
	p, status, err := f.look(content)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p) // where that fails, the client has gone
}

// look finds the faces in a picture, or says with which status it is refused.
func (f *faceDetect) look(content []byte) (p *Picture, status int, err error) {
	size, _, err := image.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("this is no picture, JPEG or PNG: %w", err)
	}
	if int64(size.Width)*int64(size.Height) > int64(f.MaxPixels) {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the picture has %d x %d pixels, and may have %d: send a smaller one",
			size.Width, size.Height, f.MaxPixels)
	}
	picture, _, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("the picture is damaged: %w", err)
	}
	gray := grayscale(picture)
	windows := f.classifier.RunCascade(pigo.CascadeParams{MinSize: leastFace, MaxSize: min(gray.Rows, gray.Cols),
		ShiftFactor: shift, ScaleFactor: scaling, ImageParams: gray}, 0)
	p = &Picture{Width: size.Width, Height: size.Height, Faces: []Face{}}
	for _, d := range f.classifier.ClusterDetections(windows, overlap) {
		if d.Q >= leastScore {
			p.Faces = append(p.Faces, Face{X: d.Col - d.Scale/2, Y: d.Row - d.Scale/2, Size: d.Scale, Score: d.Q})
		}
	}
	p.Faces = apart(p.Faces)
	return p, 0, nil
}

// grayscale has the brightness of a picture: of a JPEG it is there already.
func grayscale(picture image.Image) pigo.ImageParams {
	b := picture.Bounds()
	p := pigo.ImageParams{Rows: b.Dy(), Cols: b.Dx()}
	if m, ok := picture.(*image.YCbCr); ok {
		p.Pixels, p.Dim = m.Y, m.YStride
		return p
	}
	m, ok := picture.(*image.Gray)
	if !ok {
		m = image.NewGray(b)
		draw.Draw(m, b, picture, b.Min, draw.Src)
	}
	p.Pixels, p.Dim = m.Pix, m.Stride
	return p
}

// apart leaves out faces whose middle is in a surer one: pigo's clusters of windows may share some.
func apart(faces []Face) (kept []Face) {
	slices.SortStableFunc(faces, func(a, b Face) int { return cmp.Compare(b.Score, a.Score) })
	kept = faces[:0]
	for _, x := range faces {
		middle := image.Pt(x.X+x.Size/2, x.Y+x.Size/2)
		if !slices.ContainsFunc(kept, func(k Face) bool { return middle.In(image.Rect(k.X, k.Y, k.X+k.Size, k.Y+k.Size)) }) {
			kept = append(kept, x)
		}
	}
	return kept
}
