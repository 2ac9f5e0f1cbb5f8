package browser

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"testing"
)

// TestAPictureIsMadeSmall: of what it has most of, nothing is changed.
func TestAPictureIsMadeSmall(t *testing.T) {
	in := image.NewRGBA(image.Rect(0, 0, 400, 100))
	for i := range 40_000 {
		c := color.RGBA{0x0b, 0x57, 0xd0, 255}
		if i < 300 {
			c = color.RGBA{uint8(i % 256), uint8(i / 2), uint8(i % 7), 255} // more colours than it may have
		}
		in.SetRGBA(i%400, i/400, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, in); err != nil {
		t.Fatal(err)
	}
	text, err := small(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	out, err := png.Decode(bytes.NewReader(text))
	if _, few := out.(*image.Paletted); err != nil || !few || out.Bounds() != in.Bounds() || out.At(200, 50) != in.At(200, 50) {
		t.Errorf("it became %v with %v, %v", out.Bounds(), out.At(200, 50), err)
	}
	if _, err := small([]byte("none")); err == nil {
		t.Error("what is no picture is taken")
	}
}
