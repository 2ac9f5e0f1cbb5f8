package main

import (
	"errors"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// plot draws what was measured, as pictures beside performance.md: in an SVG a
// reader's own font would put the texts elsewhere.
func (r *report) plot(dir string) error {
	if len(r.results) > 0 {
		if err := r.plotLoads(filepath.Join(dir, "performance-loads.png")); err != nil {
			return err
		}
	}
	for _, c := range r.curves {
		if err := c.plot(filepath.Join(dir, "performance-"+c.name+".png")); err != nil {
			return err
		}
	}
	return nil
}

// plotLoads draws a bar for each server and load: CPU by the floor's.
func (r *report) plotLoads(path string) error {
	p := plot.New()
	p.Title.Text = "CPU of an answer, the no-op at Go's defaults = 1"
	p.X.Label.Text = "CPU / floor"
	p.X.Min = 0
	width := vg.Points(7)
	names := r.results[0].names
	most := 0.0
	for i, name := range names {
		values := make(plotter.Values, len(r.results))
		for at, x := range r.results {
			values[len(values)-1-at] = x.ratio(name, cpuOf).median
			most = max(most, x.ratio(name, cpuOf).median)
		}
		bars, err := plotter.NewBarChart(values, width)
		if err != nil {
			return err
		}
		bars.Horizontal, bars.Color, bars.LineStyle.Width = true, plotutil.Color(i), 0
		bars.Offset = width * vg.Length(len(names)-1-2*i) / 2
		p.Add(bars)
		p.Legend.Add(name, bars)
	}
	labels := make([]string, len(r.results))
	for at, x := range r.results {
		labels[len(labels)-1-at] = x.load.name
	}
	p.NominalY(labels...)
	p.Add(plotter.NewGrid())
	p.X.Max, p.Legend.Top = most*1.3, true // the legend stands beside the bars
	return save(p, 9*vg.Inch, vg.Length(len(labels)*(len(names)+2))*width+vg.Inch, path)
}

func save(p *plot.Plot, w, h vg.Length, path string) error {
	canvas := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(120))}
	p.Draw(draw.New(canvas))
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = canvas.WriteTo(f)
	return errors.Join(err, f.Close())
}

// plot draws a curve: CPU by the floor's, with quartiles.
func (c *curve) plot(path string) error {
	p := plot.New()
	p.Title.Text = "CPU of an answer by " + c.title
	p.X.Label.Text, p.Y.Label.Text = c.title, "CPU / floor"
	p.X.Scale, p.X.Tick.Marker, p.Y.Min = plot.LogScale{}, plot.LogTicks{}, 0
	p.Add(plotter.NewGrid())
	for i, name := range c.names {
		points := errorPoints{}
		for _, at := range c.points {
			s := at.cpu[name]
			points.XYs = append(points.XYs, plotter.XY{X: at.x, Y: s.median})
			points.YErrors = append(points.YErrors, struct{ Low, High float64 }{s.median - s.low, s.high - s.median})
		}
		line, dots, err := plotter.NewLinePoints(points.XYs)
		if err != nil {
			return err
		}
		bars, err := plotter.NewYErrorBars(points)
		if err != nil {
			return err
		}
		line.Color, dots.Color, bars.Color = plotutil.Color(i), plotutil.Color(i), plotutil.Color(i)
		p.Add(line, dots, bars)
		p.Legend.Add(name, line, dots)
	}
	return save(p, 7*vg.Inch, 4*vg.Inch, path)
}

type errorPoints struct {
	plotter.XYs
	plotter.YErrors
}
