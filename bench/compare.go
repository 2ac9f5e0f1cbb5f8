package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// load is a way of asking.
type load struct {
	name string
	// transport is unix, tcp, or edge: behind Envoy, over HTTP.
	transport            string
	streams, connections int
	// share of the floor's own greatest rate at which an open loop sends; 0: a
	// closed loop.
	share float64
}

// loads are those of this run; most of all are left to -full.
func loads(o *options) []load {
	all := []load{
		{name: "unix, 64 streams on 1 connection", transport: "unix", streams: 64, connections: 1},
		{name: "unix, 16 connections", transport: "unix", streams: 16, connections: 16},
		{name: "unix, 1 connection, 1 stream", transport: "unix", streams: 1, connections: 1},
		{name: "behind Envoy, 32 connections", transport: "edge", connections: 32},
		{name: "open loop, 64 streams on 1 connection (unix)", transport: "unix", streams: 64, connections: 1, share: 0.3},
	}
	if o.full {
		all = append(
			all,
			load{name: "unix, 64 connections", transport: "unix", streams: 64, connections: 64},
			load{name: "unix, 256 connections", transport: "unix", streams: 256, connections: 256},
			load{name: "tcp, 64 streams on 1 connection", transport: "tcp", streams: 64, connections: 1},
			load{name: "tcp, 16 connections", transport: "tcp", streams: 16, connections: 16},
			load{name: "tcp, 256 connections", transport: "tcp", streams: 256, connections: 256},
			load{name: "tcp, 1 connection, 1 stream", transport: "tcp", streams: 1, connections: 1},
			load{name: "behind Envoy, 1 connection", transport: "edge", connections: 1},
			load{name: "behind Envoy, 64 connections", transport: "edge", connections: 64},
			load{name: "open loop, 256 connections (tcp)", transport: "tcp", streams: 256, connections: 256, share: 0.3},
		)
	}
	return slices.DeleteFunc(all, func(l load) bool { return !strings.Contains(l.name, o.only) })
}

func needsEdge(all []load) bool {
	return slices.ContainsFunc(all, func(l load) bool { return l.transport == "edge" })
}

// result is what a load came to: each server's turns, in the order of rounds.
type result struct {
	load  load
	names []string
	turns map[string][]turn
	// memory is what each server holds after it, in MB.
	memory map[string]int
}

// compare runs a load on each server in turn, another one first in each round.
func (f *fleet) compare(l load, rounds int, length time.Duration, q *questions) (*result, error) {
	r := &result{load: l, turns: map[string][]turn{}}
	for _, s := range f.servers {
		r.names = append(r.names, s.name)
	}
	rate := 0.0
	if l.share > 0 {
		t, err := f.servers[0].run(load{transport: l.transport, streams: l.streams, connections: l.connections}, length, q, 0)
		if err != nil {
			return nil, err
		}
		rate = t.rate * l.share
	}
	for round := range rounds {
		for i := range f.servers {
			s := f.servers[(i+round)%len(f.servers)]
			t, err := s.run(l, length, q, rate)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
			r.turns[s.name] = append(r.turns[s.name], t)
		}
		fmt.Fprint(os.Stderr, ".")
	}
	return r, nil
}

// run is one turn, behind a little of the same to warm up.
func (s *server) run(l load, length time.Duration, q *questions, rate float64) (turn, error) {
	if s.data == "" {
		q = &questions{messages: q.messages, http: q.http}
	}
	if l.transport == "edge" {
		if _, err := httpLoop(s.edge, l.connections, length/5, q); err != nil {
			return turn{}, err
		}
		return measured(s, func() (*tally, error) { return httpLoop(s.edge, l.connections, length, q) })
	}
	conns, closeAll, err := dial(s, l.transport, l.connections)
	defer closeAll()
	if err != nil {
		return turn{}, err
	}
	if _, err := closedLoop(conns, l.streams, length/5, q); err != nil {
		return turn{}, err
	}
	return measured(s, func() (*tally, error) {
		if rate > 0 {
			return openLoop(conns, l.streams, rate, length, q)
		}
		return closedLoop(conns, l.streams, length, q)
	})
}

// spread is a median with the quartiles around it.
type spread struct{ low, median, high float64 }

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return spread{}
	}
	at := func(share float64) float64 { // between the two that are nearest
		n := share * float64(len(v)-1)
		i := int(n)
		if i+1 == len(v) {
			return v[i]
		}
		return v[i] + (n-float64(i))*(v[i+1]-v[i])
	}
	return spread{at(0.25), at(0.5), at(0.75)}
}

// of gives a figure of a server over all rounds.
func (r *result) of(name string, figure func(turn) float64) spread {
	var all []float64
	for _, t := range r.turns[name] {
		all = append(all, figure(t))
	}
	return spreadOf(all)
}

// ratio gives a figure of a server by the floor's of the same round.
func (r *result) ratio(name string, figure func(turn) float64) spread {
	var all []float64
	for i, t := range r.turns[name] {
		if base := figure(r.turns[r.names[0]][i]); base > 0 {
			all = append(all, figure(t)/base)
		}
	}
	return spreadOf(all)
}

// mostWrong is the share of answers under load that may be others than before:
// on a machine that is busy an evaluation may not end in its time.
const mostWrong = 0.01

// wrong returns an error where a variant answered otherwise than before.
func (r *result) wrong() error {
	for _, name := range r.names {
		for _, t := range r.turns[name] {
			if t.wrong > mostWrong {
				return fmt.Errorf("%s: %s answered %.1f %% of the requests otherwise than before: %w", r.load.name, name, 100*t.wrong, t.problem)
			}
		}
	}
	return nil
}

func cpuOf(t turn) float64   { return t.cpu }
func callsOf(t turn) float64 { return t.calls }
func rateOf(t turn) float64  { return t.rate }
func p99Of(t turn) float64   { return t.p99 }
