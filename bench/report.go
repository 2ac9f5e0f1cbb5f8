package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// report is all that a run has measured.
type report struct {
	*options
	results []*result
	curves  []*curve
	ready   map[string]time.Duration
	reloads *reloads // nil: not measured
	// idle is what each server holds before the first load, in MB.
	idle map[string]int
}

// wrong returns an error where what was measured is not what should be.
func (r *report) wrong() error {
	var all error
	for _, x := range r.results {
		all = errors.Join(all, x.wrong())
	}
	return all
}

func (s spread) String() string { return fmt.Sprintf("%.2f (%.2f-%.2f)", s.median, s.low, s.high) }

// print shows one load.
func (r *result) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "\n%s\tCPU / floor\treq/s / floor\tp99 / floor\tCPU-s/1M\treq/s\tp50 µs\tp99\tp99.9\tallocs\tbytes\tcalls\tMB\tallowed\t\n", r.load.name)
	for _, name := range r.names {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%d\t%.0f %%\t\n", name,
			r.ratio(name, cpuOf), r.ratio(name, rateOf), r.ratio(name, p99Of), r.of(name, cpuOf).median, r.of(name, rateOf).median,
			r.of(name, func(t turn) float64 { return t.p50 }).median, r.of(name, p99Of).median, r.of(name, func(t turn) float64 { return t.p999 }).median,
			r.of(name, func(t turn) float64 { return t.allocations }).median, r.of(name, func(t turn) float64 { return t.bytes }).median,
			r.of(name, callsOf).median, r.memory[name], 100*r.of(name, func(t turn) float64 { return t.allowed }).median)
	}
	w.Flush()
}

// loaded is the most that a server held after a load, in MB.
func (r *report) loaded(name string) (most int) {
	for _, x := range r.results {
		most = max(most, x.memory[name])
	}
	return most
}

// print shows all but the loads, which were shown one by one.
func (r *report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	if len(r.results) > 0 {
		fmt.Fprintf(w, "\nwith %d tokens\tready after\tMB resident, idle\tunder load\t\n", r.tokens)
		for _, name := range r.results[0].names {
			ready := "-"
			if d, ok := r.ready[name]; ok {
				ready = fmt.Sprintf("%.2f s", d.Seconds())
			}
			fmt.Fprintf(w, "  %s\t%s\t%d\t%d\t\n", name, ready, r.idle[name], r.loaded(name))
		}
	}
	if r.reloads != nil {
		fmt.Fprintf(w, "\n%s\n", r.reloads)
	}
	for _, c := range r.curves {
		fmt.Fprintf(w, "\n%s\tCPU / floor\tp99 / floor\tMB resident\tready after\t\n", c.title)
		for _, p := range c.points {
			for _, name := range c.names {
				fmt.Fprintf(w, "  %g, %s\t%s\t%s\t%d\t%.2f s\t\n", p.x, name, p.cpu[name], p.p99[name], p.memory[name], p.ready[name].Seconds())
			}
		}
	}
	w.Flush()
}

// Markers between which the table stands in performance.md.
const (
	begin = "<!-- bench: begin -->\n"
	end   = "<!-- bench: end -->\n"
)

// save writes what there is into the documentation, where that is asked for: of
// curves alone, their plots.
func (r *report) save() error {
	switch {
	case r.options.write == "":
		return nil
	case len(r.results) == 0:
		return r.plot(r.options.write)
	}
	return r.write(r.options.write)
}

// write puts the table into performance.md and the plots beside it.
func (r *report) write(dir string) error {
	path := filepath.Join(dir, "performance.md")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, alsoOK := bytes.Cut(rest, []byte(end))
	if !ok || !alsoOK {
		return errors.New(path + " has no markers for the table")
	}
	table := r.markdown()
	if err := os.WriteFile(path, []byte(string(before)+begin+table+end+string(after)), 0o644); err != nil { //nolint:gosec // A page of the documentation.
		return err
	}
	return r.plot(dir)
}

// busy says how busy the machine was of late.
func busy() string {
	text, err := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 3 {
		return ""
	}
	return fmt.Sprintf(" Load average of the last 15 minutes, this run's own 2 or so among it: %s.", fields[2])
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %d rounds; medians of paired ratios with quartiles. %d organizations, %d tokens.%s\n", runtime.Version(), r.rounds, r.orgs, r.tokens, busy())
	for _, x := range r.results {
		fmt.Fprintf(&b, "\n| %s | CPU / floor | req/s / floor | p99 / floor | CPU-s per million | p50, p99, p99.9 µs | allocations, bytes | system calls | MB |\n|---|---|---|---|---|---|---|---|---|\n", x.load.name)
		for _, name := range x.names {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %.1f | %.0f, %.0f, %.0f | %.0f, %.0f | %.1f | %d |\n", name, x.ratio(name, cpuOf), x.ratio(name, rateOf), x.ratio(name, p99Of),
				x.of(name, cpuOf).median, x.of(name, func(t turn) float64 { return t.p50 }).median, x.of(name, p99Of).median,
				x.of(name, func(t turn) float64 { return t.p999 }).median, x.of(name, func(t turn) float64 { return t.allocations }).median,
				x.of(name, func(t turn) float64 { return t.bytes }).median, x.of(name, callsOf).median, x.memory[name])
		}
	}
	if len(r.results) > 0 {
		fmt.Fprintf(&b, "\n| with %d tokens | ready after | MB resident, idle | MB under load |\n|---|---|---|---|\n", r.tokens)
		for _, name := range r.results[0].names {
			if d, ok := r.ready[name]; ok {
				fmt.Fprintf(&b, "| %s | %.2f s | %d | %d |\n", name, d.Seconds(), r.idle[name], r.loaded(name))
			}
		}
		b.WriteString("\n![CPU by load](performance-loads.png)\n")
	}
	if r.reloads != nil {
		fmt.Fprintf(&b, "\nReload: %s.\n", r.reloads)
	}
	for _, c := range r.curves {
		fmt.Fprintf(&b, "\n![%s](performance-%s.png)\n", c.title, c.name)
	}
	return b.String()
}
