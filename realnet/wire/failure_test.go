package wire_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/p2pfaas/p2pfaas/realnet/wire"
)

// What a node answers in the place of what was asked for is said in its own words, and anything else is quoted.
func TestUnexpectedAnswers(t *testing.T) {
	for text, want := range map[string]string{
		`{"code":410,"message":"No token\u001b[2J was given"}`:       "n answers 401 Unauthorized: No token [2J was given",
		string(wire.NewV1Failure(wire.CodeInput, "no key x").Body()): "n answers 401 Unauthorized: Passed input is not correct or malformed: no key x",
		"<p>\n":                    `n answers 401 Unauthorized: "<p>\n"`,
		`{"detail": "unheard of"}`: `n answers 401 Unauthorized: "{\"detail\": \"unheard of\"}"`,
	} {
		err := wire.Unexpected("n", &http.Response{StatusCode: http.StatusUnauthorized, Status: "401 Unauthorized"}, []byte(text))
		if err.Error() != want {
			t.Errorf("%s: %q, not %q", text, err, want)
		}
	}
	f := &wire.Failure{}
	err := wire.Unexpected("n", &http.Response{StatusCode: http.StatusNotFound}, []byte(`{"code":3,"message":"Not Found"}`))
	if !errors.Is(err, wire.ErrNotFound) || !errors.As(err, &f) || f.Code != wire.CodeNotFound || err.Error() != "n answers 404 Not Found: Not Found" {
		t.Errorf("%v", err)
	}
}
