package main

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz/dropin/dropintest"
)

// TestServeTakesOpaEnvoyPluginsSettings starts the program with each recorded
// case that sets something (path, query, dry-run, proto-descriptor, …), and with
// one of each family that sets nothing: its configuration file, its policy's
// folder, its message over gRPC, and the recorded answer.
func TestServeTakesOpaEnvoyPluginsSettings(t *testing.T) {
	const dir = "../../testdata/dropin"
	cases, err := dropintest.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	deviations, err := dropintest.LoadDeviations(dir)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "patrol")
	build(t, "cmd/patrol", binary)
	settings, families := map[string]int{}, map[string]bool{}
	for _, c := range cases {
		if deviations[c.ID] != "" || len(c.Section) == 0 && families[c.Family] {
			continue
		}
		families[c.Family] = true
		for key := range c.Section {
			settings[key]++
		}
		t.Run(c.ID, func(t *testing.T) { serveCase(t, binary, c) })
	}
	for _, key := range []string{"path", "query", "dry-run", "proto-descriptor"} {
		if settings[key] == 0 {
			t.Errorf("no case sets %s", key)
		}
	}
	t.Logf("settings: %v", settings)
}

func serveCase(t *testing.T, binary string, c *dropintest.Case) {
	t.Helper()
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy")
	for name, text := range c.Policy.Files {
		write(t, filepath.Join(policy, name), text)
	}
	if len(c.Policy.Data) > 0 {
		data, err := json.Marshal(c.Policy.Data)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(policy, "data.json"), string(data))
	}
	section := map[string]any{}
	for k, v := range c.Section {
		section[k] = v
	}
	// A YAML file may be JSON.
	config, err := json.Marshal(map[string]any{
		"policy": map[string]any{"bundles": []string{policy}},
		"opa":    map[string]any{"plugins": map[string]any{"envoy_ext_authz_grpc": section}},
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config.yaml"), string(config))
	s := startServer(t, binary, filepath.Join(dir, "data"), "--config", filepath.Join(dir, "config.yaml"))
	wire, err := c.Message()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var out []byte
	if err := conn.Invoke(t.Context(), authv3.Authorization_Check_FullMethodName, wire, &out, grpc.ForceCodec(bytesCodec{})); err != nil {
		t.Fatal(err)
	}
	response := &authv3.CheckResponse{}
	if err := proto.Unmarshal(out, response); err != nil {
		t.Fatal(err)
	}
	if differs := c.Differs("OK", response); differs != "" {
		t.Errorf("%s\nconfiguration: %s\nlog: %s", differs, config, s.log)
	}
}

// What is wrong with the settings is said by name, and nothing is started.
func TestServeRefusesSettingsThatAreNone(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "patrol")
	build(t, "cmd/patrol", binary)
	for want, section := range map[string]string{
		"dry_run":                               "{dry_run: true}",
		"path and query exclude each other":     "{path: a/b, query: data.a.b}",
		"query":                                 "{query: 'data.a ='}",
		"name its decision in policy.decisions": "{facts: true}",
		"proto-descriptor: open /nowhere.pb":    "{proto-descriptor: /nowhere.pb}",
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "config.yaml"), "opa: {plugins: {envoy_ext_authz_grpc: "+section+"}}\n")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // one that is taken would serve for ever
		cmd := exec.CommandContext(ctx, binary, "serve", "--data-dir", filepath.Join(dir, "data"), "--diagnostics", "off", "--ext-authz", "127.0.0.1:0", "--config", filepath.Join(dir, "config.yaml"))
		out, err := cmd.CombinedOutput()
		cancel()
		if err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "config.yaml") || !strings.Contains(string(out), want) || !strings.Contains(string(out), "envoy_ext_authz_grpc") {
			t.Errorf("%s: %v\n%s", section, err, out)
		}
	}
}
