// Command bench drives running servers, each a process of its own, in turns
// with the same messages, and prints paired ratios of what they cost:
//
//   - floor: a grpc-go server that decides nothing, at Go's defaults; every
//     ratio is to this one;
//   - floor, tuned: the same, with stream workers, windows of a fixed size, and GOGC=400;
//   - floor, bytes only: that again, without a look at the message: what any server on grpc-go could reach;
//   - floor, authz/unary: that on the server that patrol has;
//   - patrol, in one or more variants of its configuration;
//   - any other server of Envoy's ext_authz that is named (-peer).
//
// It says what an answer costs (CPU seconds per million, allocations), how long
// it takes in a closed and in an open loop, directly and behind a real Envoy,
// what memory is held, and how soon patrol is ready. Compare ratios of one run,
// never absolute figures of two.
//
//	make bench                                  # a few minutes
//	go run ./bench -full -write docs             # everything; renders docs/performance.md and its plots
//	go run ./bench -patrol 'compiled:=policy: {evaluator: compiled}' -patrol 'compiled, GOGC@GOGC=100:=policy: {evaluator: compiled}'
//	go run ./bench -peer ./opa-envoy -peer-args 'run --server --set=plugins.envoy_ext_authz_grpc.addr=unix://{unix} policy.rego'
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	full     bool
	pin      bool
	rounds   int
	turn     time.Duration
	tokens   int
	orgs     int
	only     string
	variants variants
	peer     string
	peerArgs string
	write    string
	binary   string
	scales   string
	reloads  bool
	most     int
}

// variants are patrol's, by name and the YAML that its configuration gets.
type variants []struct{ name, yaml string }

func (v *variants) String() string { return fmt.Sprint(*v) }

func (v *variants) Set(s string) error {
	name, yaml, _ := strings.Cut(s, ":=")
	if name == "" {
		return errors.New("write NAME:=YAML")
	}
	*v = append(*v, struct{ name, yaml string }{name, yaml})
	return nil
}

func main() {
	var o options
	var role, listen string
	flag.BoolVar(&o.full, "full", false, "all loads, and the curves over organizations, tokens, policy and headers")
	flag.BoolVar(&o.pin, "pin", true, "keep the servers on a half of the processors of their own")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds, each of all servers in turn; by default 3, with -full 9")
	flag.DurationVar(&o.turn, "turn", 1500*time.Millisecond, "length of a turn")
	flag.IntVar(&o.tokens, "tokens", 100_000, "tokens in the inventory")
	flag.IntVar(&o.orgs, "organizations", 20, "organizations in the inventory")
	flag.StringVar(&o.only, "only", "", "only the loads whose name holds this")
	flag.StringVar(&o.scales, "scales", "", "only the curves whose name holds this, and no loads")
	flag.IntVar(&o.most, "most", 1_000_000, "the furthest point of a curve that is measured")
	flag.BoolVar(&o.reloads, "reloads", false, "only how soon a bundle with 100,000 entries decides")
	flag.Var(&o.variants, "patrol", "a variant of patrol, as NAME:=YAML of its configuration, or NAME@VARIABLE=VALUE:=YAML with an environment; may be repeated")
	flag.StringVar(&o.binary, "binary", "bin/patrol", "patrol's binary")
	flag.StringVar(&o.peer, "peer", "", "another server's binary to run beside")
	flag.StringVar(&o.peerArgs, "peer-args", "", "its arguments; {unix} stands for the socket's path, {tcp} for an address")
	flag.StringVar(&o.write, "write", "", "the folder of performance.md, whose table and plots are written")
	flag.StringVar(&role, "floor", "", "serve the no-op: default, tuned, bytes or unary (used by bench itself)")
	flag.StringVar(&listen, "listen", "", "the no-op's socket, address and address of its metrics (used by bench itself)")
	flag.Parse()
	if role != "" {
		serveFloor(role, strings.Split(listen, ","))
		return
	}
	if o.rounds == 0 {
		o.rounds = 3
		if o.full {
			o.rounds = 9
		}
	}
	if len(o.variants) == 0 {
		o.variants = defaultVariants
	}
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// defaultVariants are compared where none is named.
var defaultVariants = variants{{"compiled", "policy: {evaluator: compiled}"}, {"topdown", "policy: {evaluator: topdown}"}}

func run(o *options) error {
	if o.pin {
		if err := pinSelf(); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	go func() {
		told := make(chan os.Signal, 1)
		signal.Notify(told, os.Interrupt, syscall.SIGTERM)
		<-told
		os.RemoveAll(dir) // an inventory of many tokens is in it
		os.Exit(1)
	}()
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return err
	}
	r := &report{options: o}
	measured := r.measure(dir)
	// What was measured is shown and written, also where something failed later.
	r.print(os.Stdout)
	return errors.Join(measured, r.save(), r.wrong())
}

// measure runs what the options name.
func (r *report) measure(dir string) (err error) {
	o := r.options
	if o.scales == "" && !o.reloads {
		if err := compareLoads(o, dir, r); err != nil {
			return err
		}
	}
	if (o.full || o.reloads) && o.scales == "" {
		if err := r.save(); err != nil {
			return err
		}
		if r.reloads, err = measureReloads(o, dir, 100_000); err != nil {
			return fmt.Errorf("reload: %w", err)
		}
	}
	if o.full || o.scales != "" {
		return curves(o, dir, r)
	}
	return nil
}

// compareLoads runs each load on all servers in turn.
func compareLoads(o *options, dir string, r *report) error {
	loads := loads(o)
	f, err := startFleet(o, dir, fleetOptions{tokens: o.tokens, organizations: o.orgs, variants: o.variants, edge: needsEdge(loads)})
	if err != nil {
		return err
	}
	defer f.stop()
	r.ready, r.idle = f.ready, f.memory()
	w := world{tokens: o.tokens, organizations: o.orgs}
	q := &questions{messages: w.messages(2000), http: w.httpRequests(2000)}
	if err := f.agree(q); err != nil {
		return err
	}
	for _, l := range loads {
		fmt.Fprintf(os.Stderr, "%s ", l.name)
		result, err := f.compare(l, o.rounds, o.turn, q)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		fmt.Fprintln(os.Stderr)
		result.memory = f.memory()
		r.results = append(r.results, result)
		result.print(os.Stdout) // now: the next may take minutes, or be broken off
	}
	return nil
}
