package browser

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/png"
	"slices"
)

// small writes a picture of a page with the 256 colours that it has most of, which
// makes the file a third; others become the nearest of them. Pages have few
// colours: what is lost is in the edges of letters.
func small(in []byte) ([]byte, error) {
	whole, err := png.Decode(bytes.NewReader(in))
	if err != nil {
		return nil, err
	}
	at := whole.Bounds()
	counts := map[color.RGBA]int{}
	each := func(f func(x, y int, c color.RGBA)) {
		for y := at.Min.Y; y < at.Max.Y; y++ {
			for x := at.Min.X; x < at.Max.X; x++ {
				f(x, y, color.RGBAModel.Convert(whole.At(x, y)).(color.RGBA))
			}
		}
	}
	each(func(_, _ int, c color.RGBA) { counts[c]++ })
	colours := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		colours = append(colours, c)
	}
	key := func(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }
	slices.SortFunc(colours, func(a, b color.RGBA) int { return cmp.Or(counts[b]-counts[a], key(a)-key(b)) })
	var palette color.Palette
	for _, c := range colours[:min(256, len(colours))] {
		palette = append(palette, c)
	}
	near := map[color.RGBA]uint8{}
	out := image.NewPaletted(at, palette)
	each(func(x, y int, c color.RGBA) {
		i, ok := near[c]
		if !ok {
			i = uint8(palette.Index(c)) //nolint:gosec // of 256
			near[c] = i
		}
		out.SetColorIndex(x, y, i)
	})
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&b, out); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
