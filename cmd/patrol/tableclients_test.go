package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// git asks for a user's name then, and shows nothing of the answer.
var anonymous = map[string]bool{"credential_missing": true}

var routed = map[string]string{"route_unknown": "every path that this client asks by has a route"}

var tableClients = []tableClient{
	{name: "curl-http1", ask: curl("--http1.1", "HTTP/1.1")},
	{name: "curl-http2", ask: curl("--http2-prior-knowledge", "HTTP/2")},
	{name: "grpc", ask: askGRPC},
	{name: "git", ask: askGit, silent: anonymous, omit: routed},
	{name: "git-lfs", ask: askLFS, silent: anonymous, omit: routed},
	{name: "huggingface_hub", ask: askHuggingface, omit: routed},
}

// curl checks X-Error-Code, X-Error-Message and the body against each other.
func curl(flag, protocol string) func(*testing.T, *tableEdge, cell, string) showing {
	return func(t *testing.T, e *tableEdge, c cell, name string) showing {
		config := fmt.Sprintf("url = \"http://%s/api/models/%s/%s\"\n", e.Address, c.organization, name)
		if c.unrouted {
			config = fmt.Sprintf("url = \"http://%s/api/elsewhere/%s\"\n", e.Address, name)
		}
		if c.write {
			config = fmt.Sprintf("url = \"http://%s/api/models/%s/%s/commit/main\"\nrequest = POST\n", e.Address, c.organization, name)
		}
		if c.token != "" {
			config += fmt.Sprintf("header = \"Authorization: Bearer %s\"\n", e.raw(c.token))
		}
		out, err := runProgram(t, config, "curl", "-q", "-s", "-S", "-i", flag, "-K", "-")
		head, body, _ := strings.Cut(out, "\r\n\r\n")
		if err != nil || !strings.HasPrefix(head, protocol) {
			t.Errorf("curl: %v\n%s", err, out)
		}
		header := func(name string) string {
			m := regexp.MustCompile(`(?im)^` + name + `: (.*?)\r?$`).FindStringSubmatch(head)
			if m == nil {
				return ""
			}
			return m[1]
		}
		shown, through := "", strings.HasPrefix(strings.TrimPrefix(head, protocol), " 200")
		if !through {
			var document map[string]any
			if err := json.Unmarshal([]byte(body), &document); err != nil {
				t.Errorf("the body is no JSON: %v\n%s", err, body)
			}
			shown, _ = document["message"].(string)
			message, err := url.PathUnescape(header("x-error-message"))
			if err != nil || document["error"] != message || document["code"] != header("x-error-code") || header("x-request-id") == "" {
				t.Errorf("header and body differ: %s\n%s", head, body)
			}
			reason := e.Bundles.Ruleset().Catalogue.Get(c.want)
			if header("x-error-code") != reason.OutsideCode() {
				t.Errorf("X-Error-Code: %s, want %s", header("x-error-code"), reason.OutsideCode())
			}
		}
		return showing{through, shown}
	}
}

func askGRPC(t *testing.T, e *tableEdge, c cell, name string) showing {
	conn, err := grpc.NewClient(e.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(context.Background(), "x-organization", c.organization)
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+e.raw(c.token))
	}
	service := "Read"
	if c.write {
		service = "Write"
	}
	if c.unrouted {
		service = "Other"
	}
	in, out := []byte{}, []byte{}
	var header metadata.MD
	err = conn.Invoke(ctx, "/hub.v1."+service+"/"+name, &in, &out, grpc.ForceCodecV2(raw{}), grpc.Header(&header), grpc.Trailer(&header))
	if err == nil {
		return showing{true, ""}
	}
	s, reason := status.Convert(err), e.Bundles.Ruleset().Catalogue.Get(c.want)
	told := ""
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			told = info.GetReason()
		}
	}
	if s.Code() != codes.Code(reason.GRPCStatus) || told != strings.ToUpper(reason.OutsideCode()) {
		t.Errorf("grpc, %s: status %v, ErrorInfo %s", c.want, s.Code(), told)
	}
	return showing{false, s.Message()}
}

// remote is the URL of a repository, with the token as git has it.
func (e *tableEdge) remote(c cell, name string) string {
	user := ""
	if c.token != "" {
		user = "git:" + e.raw(c.token) + "@"
	}
	return "http://" + user + e.Address + "/" + c.organization + "/" + name
}

// askGit lists a repository's branches, or pushes to it.
func askGit(t *testing.T, e *tableEdge, c cell, name string) showing {
	args := []string{"-c", "credential.helper=", "ls-remote", e.remote(c, name)}
	if c.write {
		args = []string{"-C", e.git, "-c", "credential.helper=", "push", "--no-verify", e.remote(c, name), "HEAD:refs/heads/" + name}
	}
	out, err := runProgram(t, "", "git", args...)
	return showing{err == nil, out}
}

// prepareGit makes a clone with one object of git-lfs, and pushes both.
func (e *tableEdge) prepareGit(t *testing.T) {
	t.Helper()
	e.git = filepath.Join(t.TempDir(), "clone")
	command(t, "git", "init", "-q", "-b", "main", e.git)
	command(t, "git", "-C", e.git, "lfs", "install", "--local")
	command(t, "git", "-C", e.git, "remote", "add", "origin", "http://"+e.Address+"/open-lab/model")
	command(t, "git", "-C", e.git, "config", "lfs.transfer.maxretries", "1")
	command(t, "git", "-C", e.git, "lfs", "track", "*.bin")
	command(t, "sh", "-c", `printf weights > "$0"/model.bin`, e.git)
	command(t, "git", "-C", e.git, "add", ".")
	command(t, "git", "-C", e.git, "commit", "-q", "-m", "a model")
	e.oid = strings.Fields(command(t, "git", "-C", e.git, "lfs", "ls-files", "--long"))[0]
	command(t, "git", "-C", e.git, "-c", "credential.helper=", "push", e.remote(cell{organization: "open-lab", token: "bob_write"}, "model"), "main")
	if len(e.hub.lfs) != 1 {
		t.Fatalf("git-lfs pushed %d objects", len(e.hub.lfs))
	}
}

// askLFS fetches the object, or pushes it.
func askLFS(t *testing.T, e *tableEdge, c cell, name string) showing {
	local := []string{"-C", e.git, "-c", "credential.helper=", "-c", "lfs.url=" + e.remote(c, name) + "/info/lfs", "-c", "lfs.locksverify=false"}
	if c.write {
		out, err := runProgram(t, "", "git", append(local, "lfs", "push", "--object-id", "origin", e.oid)...)
		return showing{err == nil, out}
	}
	out, err := runProgram(t, "", "git", append(local, "-c", "lfs.storage="+t.TempDir(), "lfs", "fetch", "origin", "main")...)
	return showing{err == nil, out}
}

// huggingface is a Python process that asks by huggingface_hub: a question a
// line, an answer a line.
type huggingface struct {
	in  io.Writer
	out *bufio.Scanner
}

const huggingfaceScript = `
import json, sys
from huggingface_hub import HfApi
for line in sys.stdin:
    q = json.loads(line)
    api = HfApi(endpoint=q["endpoint"], token=q["token"] or False)
    try:
        if q["write"]:
            api.create_branch(q["repository"], branch="b")
        else:
            api.model_info(q["repository"])
        a = {"through": True, "shown": ""}
    except Exception as e:
        a = {"through": False, "shown": type(e).__name__ + ": " + str(e)}
    print(json.dumps(a), flush=True)
`

func startHuggingface(t *testing.T, address string) *huggingface {
	t.Helper()
	python, err := filepath.Abs("../../.venv/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", huggingfaceScript)
	cmd.Env = append(os.Environ(), "HF_HOME="+t.TempDir(), "HF_ENDPOINT=http://"+address, "HF_HUB_DISABLE_TELEMETRY=1", "no_proxy=127.0.0.1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	return &huggingface{in, bufio.NewScanner(out)}
}

func askHuggingface(t *testing.T, e *tableEdge, c cell, name string) showing {
	question, err := json.Marshal(map[string]any{"endpoint": "http://" + e.Address, "token": e.raw(c.token), "repository": c.organization + "/" + name, "write": c.write})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.hf.in.Write(append(question, '\n')); err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Through bool
		Shown   string
	}
	if !e.hf.out.Scan() {
		t.Fatalf("Python ended: %v", e.hf.out.Err())
	}
	if err := json.Unmarshal(e.hf.out.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	return showing{answer.Through, answer.Shown}
}
