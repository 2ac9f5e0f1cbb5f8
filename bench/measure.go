package main

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// turn is what one server did in one turn.
type turn struct {
	rate           float64 // answers a second
	cpu            float64 // of the server, seconds per million answers
	p50, p99, p999 float64 // µs
	longest        float64 // µs
	allowed        float64 // share of the answers
	wrong          float64 // share of the answers that were others than before
	problem        error   // one of them
	allocations    float64 // an answer; 0 where the server does not tell
	bytes          float64 // allocated, an answer
	calls          float64 // read and write calls of the system, an answer
}

// measured runs a load on a server and takes its readings around it.
func measured(s *server, load func() (*tally, error)) (turn, error) {
	objects, bytes := s.allocated()
	calls, used, started := systemCalls(s.pid()), cpuTime(s.pid()), time.Now()
	all, err := load()
	if err != nil {
		return turn{}, err
	}
	elapsed, spent := time.Since(started), cpuTime(s.pid())-used
	n := float64(len(all.times))
	if all.sampled == 0 {
		return turn{}, fmt.Errorf("%s answered nothing", s.name)
	}
	t := turn{rate: n / elapsed.Seconds(), cpu: spent.Seconds() / n * 1e6, allowed: float64(all.allowed) / float64(all.sampled)}
	t.wrong, t.problem = float64(all.wrong)/float64(all.sampled), all.problem
	t.p50, t.p99, t.p999, t.longest = all.at(0.5), all.at(0.99), all.at(0.999), all.at(1)
	t.calls = (systemCalls(s.pid()) - calls) / n
	if o, b := s.allocated(); o > 0 {
		t.allocations, t.bytes = (o-objects)/n, (b-bytes)/n
	}
	return t, nil
}

// tally is what a load has seen: how long answers took, in ns, and of a sample
// how many allowed.
type tally struct {
	times            []int64
	sampled, allowed int
	// wrong is how many of them were not answered as before, and problem one of
	// those.
	wrong   int
	problem error
}

func (t *tally) sample(allowed bool, wrong error) {
	t.sampled++
	if allowed {
		t.allowed++
	}
	if wrong != nil {
		t.wrong++
		t.problem = wrong
	}
}

func (t *tally) add(other *tally) {
	t.times = append(t.times, other.times...)
	t.sampled += other.sampled
	t.allowed += other.allowed
	t.wrong += other.wrong
	if other.problem != nil {
		t.problem = other.problem
	}
}

// at is the time that a share of the answers took at most, in µs.
func (t *tally) at(share float64) float64 {
	slices.Sort(t.times)
	return float64(t.times[int(share*float64(len(t.times)-1))]) / 1000
}

// cpuTime is what a process has used so far, by its own clock (clock_getres(2),
// clock_getcpuclockid(3)).
func cpuTime(pid int) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil { //nolint:gosec // A pid is small.
		return 0
	}
	return time.Duration(t.Nano())
}

// systemCalls are the read and write calls that a process has made, on sockets
// too (proc_pid_io(5)): the more requests wait at once, the fewer for each.
func systemCalls(pid int) (n float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); name == "syscr" || name == "syscw" {
			v, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			n += v
		}
	}
	return n
}

// allocated asks a server's metrics for what it allocated so far.
func (s *server) allocated() (objects, bytes float64) {
	if s.http == "" {
		return 0, 0
	}
	resp, err := http.Get("http://" + s.http + "/metrics")
	if err != nil {
		return 0, 0
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		v, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "go_memstats_mallocs_total":
			objects = v
		case "go_memstats_alloc_bytes_total":
			bytes = v
		}
	}
	return objects, bytes
}

// memory is what each server holds, in MB.
func (f *fleet) memory() map[string]int {
	out := map[string]int{}
	for _, s := range f.servers {
		out[s.name] = resident(s.pid())
	}
	return out
}

// resident is a process's memory in MB.
func resident(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize() >> 20
}
