package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/loader"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/patrol-authz/patrol/authz/dropin"
	"github.com/patrol-authz/patrol/authz/extauthz"
)

// dropInServer answers as opa-envoy-plugin does, by the Rego and data at some
// paths. A change that does not compile leaves what was active.
type dropInServer struct {
	config *dropin.Config
	paths  []string
	log    *slog.Logger
	policy atomic.Pointer[dropin.Policy]
}

// Respond answers a message.
func (d *dropInServer) Respond(ctx context.Context, wire []byte) *authv3.CheckResponse {
	p := d.policy.Load()
	if p == nil {
		return dropin.Failed("")
	}
	response, _ := p.CheckBytes(ctx, wire)
	return response
}

func newDropIn(ctx context.Context, section []byte, paths []string, log *slog.Logger) (*dropInServer, error) {
	config, err := dropin.ParseConfig(section)
	if err != nil {
		return nil, fmt.Errorf("opa.plugins.envoy_ext_authz_grpc: %w", err)
	}
	d := &dropInServer{config: config, paths: paths, log: log}
	if err := d.load(ctx); err != nil {
		log.Error("policy refused; every request is denied until it is mended", "error", err)
	}
	return d, nil
}

func (d *dropInServer) load(ctx context.Context) error {
	files, err := loader.NewFileLoader().All(d.paths)
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	compiler := ast.NewCompiler()
	if compiler.Compile(files.ParsedModules()); compiler.Failed() {
		return compiler.Errors
	}
	store := inmem.NewFromObjectWithOpts(files.Documents, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
	p, err := dropin.New(ctx, dropin.Options{Config: d.config, Compiler: compiler, Store: store})
	if err != nil {
		return err
	}
	d.policy.Store(p)
	d.log.Info("policy activated, in opa-envoy-plugin's way", "paths", d.paths)
	return nil
}

// follow looks for changes each second.
func (d *dropInServer) follow(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for before := d.state(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := d.state()
		if now == before {
			continue
		}
		before = now
		if err := d.load(ctx); err != nil {
			d.log.Error("policy refused; what was active stays", "error", err)
		}
	}
}

func (d *dropInServer) state() (sum string) {
	for _, path := range d.paths {
		_ = filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
			if info, statErr := os.Stat(p); err == nil && statErr == nil {
				sum += fmt.Sprintf("|%s %d %d", p, info.Size(), info.ModTime().UnixNano())
			}
			return nil //nolint:nilerr // what cannot be read is no part of the sum
		})
	}
	return sum
}

// dropIn is the responder of opa-envoy-plugin's mode, where it is configured.
func (a *App) dropIn(ctx, background context.Context) (extauthz.Responder, error) {
	section, err := a.Config.dropIn()
	if err != nil || section == nil {
		return nil, err
	}
	d, err := newDropIn(ctx, section, a.Config.Policy.Bundles, a.Log)
	if err != nil {
		return nil, err
	}
	a.wait.Add(1)
	go func() {
		defer a.wait.Done()
		d.follow(background)
	}()
	return d, nil
}
