package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// curve shows how a cost grows with something.
type curve struct {
	name, title string
	names       []string // of the servers
	points      []point
}

type point struct {
	x      float64
	cpu    map[string]spread // by the floor's
	p99    map[string]spread
	memory map[string]int // MB
	ready  map[string]time.Duration
}

// step is one point to be measured.
type step struct {
	x      int
	world  world
	bundle string
}

// curves measures each curve, every point with servers and an inventory of its
// own.
func curves(o *options, dir string, r *report) error {
	for _, c := range []struct {
		curve
		steps []int
		make  func(x int, dir string) (step, error)
	}{
		{curve{name: "rules", title: "rules of the operator's own"}, []int{1, 10, 100, 1000}, rules},
		{curve{name: "headers", title: "headers of a request"}, []int{14, 22, 50, 100}, func(x int, _ string) (step, error) {
			return step{x: x, world: world{tokens: 10_000, organizations: 20, headers: x}}, nil
		}},
		{curve{name: "tokens", title: "tokens"}, []int{1000, 10_000, 100_000, 1_000_000}, func(x int, _ string) (step, error) {
			return step{x: x, world: world{tokens: x, organizations: 20}}, nil
		}},
		{curve{name: "organizations", title: "organizations"}, []int{10, 100, 1000, 10_000, 100_000}, func(x int, _ string) (step, error) {
			return step{x: x, world: world{tokens: 100_000, organizations: x}}, nil
		}},
	} {
		if !strings.Contains(c.name, o.scales) {
			continue
		}
		if err := c.follow(o, dir, c.steps, c.make); err != nil {
			return err
		}
		if len(c.points) > 0 {
			r.curves = append(r.curves, &c.curve)
		}
		if err := r.save(); err != nil { // the next may take long
			return err
		}
	}
	return nil
}

// follow measures the points of a curve, one after the other.
func (c *curve) follow(o *options, dir string, steps []int, make func(x int, dir string) (step, error)) error {
	for _, x := range steps {
		if x > o.most {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s %d ", c.name, x)
		s, err := make(x, dir)
		if err != nil {
			return err
		}
		if err := c.measure(o, dir, s); err != nil {
			return fmt.Errorf("%s %d: %w", c.name, x, err)
		}
		p := c.points[len(c.points)-1] // the next one may take long
		for _, name := range c.names {
			fmt.Fprintf(os.Stderr, " %s: %s of the floor's CPU, p99 %s, %d MB", name, p.cpu[name], p.p99[name], p.memory[name])
		}
		fmt.Fprintln(os.Stderr)
	}
	return nil
}

// curved are the variants that curves are drawn of: those that were named, or
// the first.
func (o *options) curved() variants {
	if slices.Equal(o.variants, defaultVariants) {
		return defaultVariants[:1]
	}
	return o.variants
}

func (c *curve) measure(o *options, dir string, s step) error {
	own, err := os.MkdirTemp(dir, "c")
	if err != nil {
		return err
	}
	defer os.RemoveAll(own)
	without := *o
	without.peer = ""
	f, err := startFleet(&without, own, fleetOptions{tokens: s.world.tokens, organizations: s.world.organizations, variants: o.curved(), bundle: s.bundle})
	if err != nil {
		return err
	}
	defer f.stop()
	q := &questions{messages: s.world.messages(20_000)}
	if err := f.agree(q); err != nil {
		return err
	}
	result, err := f.compare(load{transport: "unix", streams: 64, connections: 1}, o.rounds, o.turn, q)
	if err != nil {
		return err
	}
	p := point{x: float64(s.x), cpu: map[string]spread{}, p99: map[string]spread{}, memory: f.memory(), ready: f.ready}
	c.names = result.names[2:]
	for _, name := range c.names {
		p.cpu[name], p.p99[name] = result.ratio(name, cpuOf), result.ratio(name, p99Of)
	}
	c.points = append(c.points, p)
	return nil
}

// rules makes an overlay with checks that look at each request and refuse none.
func rules(x int, dir string) (step, error) {
	bundle, err := os.MkdirTemp(dir, "bundle")
	if err != nil {
		return step{}, err
	}
	var b strings.Builder
	b.WriteString("package local.checks.many\n\n")
	for i := range x {
		fmt.Fprintf(&b, "reasons contains \"policy_denied\" if {\n\tinput.route.permission == \"repo.never.%d\"\n\tinput.token.kind == \"read\"\n}\n\n", i)
	}
	err = os.WriteFile(filepath.Join(bundle, "many.rego"), []byte(b.String()), 0o600)
	return step{x: x, world: world{tokens: 10_000, organizations: 20}, bundle: bundle}, err
}
