package function

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
)

// drawFaces draws faces as a child would, side by side in a picture of that size, each as high as s pixels.
func drawFaces(width, height int, s float64, middles ...image.Point) *image.Gray {
	m := image.NewGray(image.Rect(0, 0, width, height))
	for k := range m.Pix {
		px, py := k%width, k/width
		brightness := 60.0
		for _, c := range middles {
			x, y := float64(px-c.X)/s, float64(py-c.Y)/s
			ellipse := func(to, ex, ey, rx, ry float64) {
				d := math.Hypot((math.Abs(x)-ex)/rx, (y-ey)/ry) // both halves of a face are alike
				brightness += (to - brightness) / (1 + math.Exp((d-1)*12))
			}
			ellipse(30, 0, -0.15, 0.52, 0.62) // hair
			ellipse(200, 0, 0.05, 0.4, 0.55)
			ellipse(150, 0.19, -0.09, 0.13, 0.10)
			ellipse(60, 0.19, -0.17, 0.12, 0.025)  // brows
			ellipse(40, 0.19, -0.08, 0.075, 0.035) // eyes
			ellipse(225, 0, 0, 0.035, 0.15)
			ellipse(130, 0, 0.17, 0.08, 0.025) // nose
			ellipse(90, 0, 0.32, 0.15, 0.035)  // mouth
		}
		m.Pix[k] = uint8(brightness)
	}
	return m
}

func asJPEG(t *testing.T, m image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func asPNG(t *testing.T, m image.Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func faceServer(t *testing.T, o FaceOptions) string {
	t.Helper()
	h, err := FaceDetect(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// Faces are found where they are, in each format that decoders make of a picture; where none is, none.
func TestFaceDetect(t *testing.T) {
	url := faceServer(t, FaceOptions{MaxBody: 1 << 20, MaxPixels: 1 << 20})
	one := drawFaces(240, 200, 110, image.Pt(130, 90))
	coloured := image.NewRGBA(one.Bounds())
	for y := range 200 {
		for x := range 240 {
			coloured.Set(x, y, color.RGBA{one.GrayAt(x, y).Y, one.GrayAt(x, y).Y * 3 / 4, one.GrayAt(x, y).Y / 2, 255})
		}
	}
	middles := []image.Point{{80, 90}, {250, 110}}
	for what, x := range map[string]struct {
		picture string
		want    []image.Point
	}{
		"a gray JPEG":     {asJPEG(t, one), []image.Point{{130, 90}}},
		"a coloured JPEG": {asJPEG(t, coloured), []image.Point{{130, 90}}},
		"a gray PNG":      {asPNG(t, one), []image.Point{{130, 90}}},
		"a coloured PNG":  {asPNG(t, coloured), []image.Point{{130, 90}}},
		"two faces":       {asJPEG(t, drawFaces(340, 200, 110, middles...)), middles},
		"no face":         {asJPEG(t, drawFaces(240, 200, 110)), nil},
		"one pixel":       {asPNG(t, image.NewGray(image.Rect(0, 0, 1, 1))), nil},
	} {
		a, text, _ := ask(t, url, "POST", x.picture)
		var p Picture
		if err := json.Unmarshal([]byte(text), &p); err != nil || a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s %q of type %s: %v", what, a.Status, text, a.Header.Get("Content-Type"), err)
			continue
		}
		if len(p.Faces) != len(x.want) || p.Faces == nil {
			t.Errorf("%s: %q, want %d faces", what, text, len(x.want))
			continue
		}
		for _, want := range x.want {
			near := false
			for _, f := range p.Faces {
				near = near || math.Hypot(float64(f.X+f.Size/2-want.X), float64(f.Y+f.Size/2-want.Y)) < 15 && f.Size > 80 && f.Size < 160
			}
			if !near {
				t.Errorf("%s: %q, want one around %v", what, text, want)
			}
		}
	}
}

// pngOf is the head of a PNG of that size, with no more behind it: what a bomb looks like before it is unpacked.
func pngOf(width, height uint32) string {
	chunk := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)...)
	chunk = append(chunk, 8, 6, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	b = append(b, chunk...)
	return string(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk)))
}

func TestFaceDetectRefuses(t *testing.T) {
	url := faceServer(t, FaceOptions{MaxBody: 20_000, MaxPixels: 100_000})
	picture := asJPEG(t, drawFaces(240, 200, 110, image.Pt(130, 90)))
	for what, x := range map[string]struct {
		body   string
		status int
		says   string
	}{
		"no body":            {"", 200, "send a picture"},
		"nonsense":           {"this is no picture", 400, "no picture"},
		"half a JPEG":        {picture[:len(picture)/2], 400, "damaged"},
		"the head of a PNG":  {pngOf(100, 100), 400, "damaged"},
		"too many pixels":    {pngOf(400, 251), 413, "400 x 251 pixels, and may have 100000"},
		"a bomb":             {pngOf(1<<31-1, 1<<31-1), 400, "no picture"}, // the decoder's own limit
		"a smaller bomb":     {pngOf(1<<24, 1<<24), 413, "may have 100000"},
		"too long a body":    {picture + strings.Repeat("x", 20_000), 413, "more than 20000 bytes"},
		"the longest body":   {picture + strings.Repeat("x", 20_000-len(picture)), 200, `"width":240`},
		"the largest pixels": {asPNG(t, image.NewGray(image.Rect(0, 0, 400, 250))), 200, `"faces":[]`},
	} {
		if a, text, _ := ask(t, url, "POST", x.body); a.StatusCode != x.status || !strings.Contains(text, x.says) {
			t.Errorf("%s: %s %q, want %d with %q", what, a.Status, text, x.status, x.says)
		}
	}
	if a, _, _ := ask(t, url+"/healthz", "GET", ""); a.StatusCode != 200 {
		t.Errorf("its health is answered with %s", a.Status)
	}
}
