// Command bench drives a running patrol over gRPC beside a grpc-go server that
// decides nothing, in turns, and prints paired ratios of CPU and latency. It
// also says how long patrol takes to be ready with many tokens, and what it
// holds in memory under load.
//
//	make bench
//	go run ./bench -tokens 100000 -rounds 5 -seconds 3
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/admin"
	"github.com/patrol-authz/patrol/authz/admin/client"
)

var (
	tokens  = flag.Int("tokens", 100_000, "tokens in the inventory")
	rounds  = flag.Int("rounds", 5, "rounds, each of both servers in turn")
	seconds = flag.Float64("seconds", 3, "length of a turn")
	streams = flag.Int("streams", 64, "requests in flight")
	floor   = flag.String("floor", "", "serve the no-op on this socket (used by bench itself)")
)

func main() {
	flag.Parse()
	if *floor != "" {
		serveFloor(*floor)
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// noop allows everything, at once.
type noop struct {
	authv3.UnimplementedAuthorizationServer
}

func (noop) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return &authv3.CheckResponse{}, nil
}

func serveFloor(socket string) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := grpc.NewServer()
	authv3.RegisterAuthorizationServer(s, noop{})
	_ = s.Serve(l)
}

func run() error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := filepath.Abs("bin/patrol")
	if err != nil {
		return err
	}
	patrol, err := startPatrol(binary, dir)
	if err != nil {
		return err
	}
	if err := populate(dir, *tokens); err != nil {
		return err
	}
	stop(patrol)
	started := time.Now()
	if patrol, err = startPatrol(binary, dir); err != nil {
		return err
	}
	defer stop(patrol)
	fmt.Printf("ready with %d tokens after %.2f s\n", *tokens, time.Since(started).Seconds())
	self, err := os.Executable()
	if err != nil {
		return err
	}
	none := exec.Command(self, "-floor", filepath.Join(dir, "floor.sock"))
	if err := none.Start(); err != nil {
		return err
	}
	defer stop(none)
	messages := requests(*tokens)
	var cpu, median, tail []float64
	var last turn
	for round := range *rounds {
		base, err := drive(filepath.Join(dir, "floor.sock"), none.Process.Pid, messages)
		if err != nil {
			return err
		}
		if last, err = drive(filepath.Join(dir, "ext_authz.sock"), patrol.Process.Pid, messages); err != nil {
			return err
		}
		fmt.Printf("round %d: no-op %7.0f req/s %6.1f CPU-s/1M p50 %4.0f µs p99 %5.0f µs | patrol %6.0f req/s %6.1f CPU-s/1M p50 %5.0f µs p99 %6.0f µs, %.0f %% allowed\n", round+1,
			base.rate, base.cpu, base.p50, base.p99, last.rate, last.cpu, last.p50, last.p99, 100*last.allowed)
		cpu, median, tail = append(cpu, last.cpu/base.cpu), append(median, last.p50/base.p50), append(tail, last.p99/base.p99)
	}
	for name, ratios := range map[string][]float64{"CPU": cpu, "p50": median, "p99": tail} {
		slices.Sort(ratios)
		fmt.Printf("patrol / no-op, %s: median %.1f (%.1f to %.1f)\n", name, ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1])
	}
	fmt.Printf("patrol resident under load with %d tokens: %d MB\n", *tokens, resident(patrol.Process.Pid))
	return nil
}

func stop(c *exec.Cmd) {
	_ = c.Process.Kill()
	_ = c.Wait()
}

func startPatrol(binary, dir string) (*exec.Cmd, error) {
	const diagnostics = "127.0.0.1:18282"
	c := exec.Command(binary, "serve", "--data-dir", filepath.Join(dir, "data"), "--ext-authz", "unix:"+filepath.Join(dir, "ext_authz.sock"), "--diagnostics", diagnostics)
	var log bytes.Buffer
	c.Stderr = &log
	if err := c.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		resp, err := http.Get("http://" + diagnostics + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return c, nil
			}
		}
	}
	stop(c)
	return nil, fmt.Errorf("patrol did not become ready:\n%s", log.String())
}

const organizations = 20

func secret(i int) string { return fmt.Sprintf("bench-%032d", i) }

// populate makes organizations under all policies, and imports tokens.
func populate(dir string, n int) error {
	ctx := context.Background()
	c, err := client.New("unix:" + filepath.Join(dir, "data", "admin.sock"))
	if err != nil {
		return err
	}
	policies := []string{"allow_user_access_tokens", "only_fine_grained_tokens", "do_not_require_administrator_approval", "require_administrator_approval"}
	for i := range organizations {
		name := fmt.Sprintf("org-%d", i)
		if err := c.Do(ctx, "POST", "/api/organizations", admin.NewOrganization{Name: name, TokenPolicy: policies[i%4]}, nil); err != nil {
			return err
		}
		if err := c.Do(ctx, "PUT", "/api/organizations/"+name+"/members/bob", admin.NewMember{Role: "write"}, nil); err != nil {
			return err
		}
	}
	for at := 0; at < n; at += 20_000 {
		var list []admin.ImportedToken
		for i := at; i < min(at+20_000, n); i++ {
			sum := sha256.Sum256([]byte(secret(i)))
			t := admin.ImportedToken{SHA256: hex.EncodeToString(sum[:]), Owner: "bob", DisplayName: "token " + strconv.Itoa(i), Kind: "fine-grained", Grants: []authz.Grant{
				{Entity: authz.Entity{Type: "organization", Name: fmt.Sprintf("org-%d", i%organizations)}, Permissions: []string{"repo.content.read", "repo.write"}},
			}}
			if i%5 == 0 {
				t.Kind, t.Grants = "write", nil
			}
			list = append(list, t)
		}
		if err := c.Do(ctx, "POST", "/api/tokens/import", map[string]any{"tokens": list}, nil); err != nil {
			return err
		}
	}
	return nil
}

// requests are messages as Envoy sends them: about 1.4 KB, 22 headers.
func requests(n int) [][]byte {
	out := make([][]byte, 2000)
	for i := range out {
		token := i * 7919 % n
		h := map[string]string{
			":authority": "hub.example", ":method": "GET", ":scheme": "https", "authorization": "Bearer " + secret(token), "user-agent": "huggingface_hub/2.4.0; python/3.12.3; torch/2.5.1",
			"accept": "*/*", "accept-encoding": "gzip, deflate, br", "x-request-id": fmt.Sprintf("8c2a7c1e-0000-4000-8000-%012d", i), "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "https",
			"x-envoy-external-address": "192.0.2.7", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		}
		for k := len(h); k < 22; k++ {
			h[fmt.Sprintf("x-header-%d", k)] = "a value of some length " + strconv.Itoa(k)
		}
		path := fmt.Sprintf("/api/models/org-%d/model-%d", token%organizations, i%50)
		h[":path"] = path
		out[i], _ = proto.Marshal(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: strconv.Itoa(i), Method: "GET", Path: path, Host: "hub.example", Scheme: "https", Protocol: "HTTP/1.1", Headers: h,
		}}}})
	}
	return out
}

// turn is what one server did in one turn; times in µs.
type turn struct{ rate, cpu, p50, p99, allowed float64 }

type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append((*v.(*[]byte))[:0], b...)
	return nil
}
func (rawCodec) Name() string { return "proto" }

func drive(socket string, pid int, messages [][]byte) (turn, error) {
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	if err != nil {
		return turn{}, err
	}
	defer conn.Close()
	var next, allowed atomic.Int64
	var failed atomic.Value
	phase := func(length time.Duration) []float64 {
		var mu sync.Mutex
		var all []float64
		var wait sync.WaitGroup
		end := time.Now().Add(length)
		for range *streams {
			wait.Add(1)
			go func() {
				defer wait.Done()
				var own []float64
				var answer []byte
				for time.Now().Before(end) {
					m := messages[int(next.Add(1))%len(messages)]
					started := time.Now()
					if err := conn.Invoke(context.Background(), "/envoy.service.auth.v3.Authorization/Check", m, &answer); err != nil {
						failed.Store(err)
						return
					}
					own = append(own, float64(time.Since(started).Nanoseconds())/1000)
					var r authv3.CheckResponse
					if len(own)%64 == 0 && proto.Unmarshal(answer, &r) == nil && r.GetStatus().GetCode() == 0 {
						allowed.Add(64)
					}
				}
				mu.Lock()
				all = append(all, own...)
				mu.Unlock()
			}()
		}
		wait.Wait()
		return all
	}
	phase(500 * time.Millisecond) // warm up
	allowed.Store(0)
	before := cpuSeconds(pid)
	times := phase(time.Duration(*seconds * float64(time.Second)))
	used := cpuSeconds(pid) - before
	if err, ok := failed.Load().(error); ok {
		return turn{}, err
	}
	slices.Sort(times)
	n := float64(len(times))
	return turn{rate: n / *seconds, cpu: used / n * 1e6, p50: times[len(times)/2], p99: times[len(times)*99/100], allowed: min(1, float64(allowed.Load())/n)}, nil
}

// cpuSeconds is what a process has used so far (proc(5), utime and stime).
func cpuSeconds(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
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
