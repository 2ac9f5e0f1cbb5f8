package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/patrol-authz/patrol/authz/telemetry"
)

// ServeCmd runs the server.
type ServeCmd struct {
	Config      string   `help:"Configuration file (YAML)." type:"path" env:"PATROL_CONFIG"`
	Bundle      []string `help:"Policy bundle: a folder or a tarball; may be given more than once." type:"path" placeholder:"PATH"`
	ExtAuthz    []string `name:"ext-authz" help:"Where Envoy asks: host:port or unix:PATH; default 127.0.0.1:9191." placeholder:"ADDR"`
	Admin       []string `help:"Where the console and the admin API for callers with a token are: host:port, default 127.0.0.1:8283, or off; or unix:PATH, the socket in place of admin.sock." placeholder:"ADDR"`
	Diagnostics string   `help:"Where metrics and health are; default 127.0.0.1:8282, or off." placeholder:"ADDR"`
}

// Help gives an example.
func (*ServeCmd) Help() string {
	return "Without a configuration it works at once: the embedded base bundle, SQLite in the data directory, loopback addresses.\n\n" +
		example(
			"patrol serve --bundle ./policy --ext-authz unix:/run/patrol/ext_authz.sock",
			"patrol serve --config patrol.yaml --admin 127.0.0.1:8283",
		)
}

// Run serves until it is told to stop.
func (c *ServeCmd) Run(ctx context.Context, cli *CLI) error {
	config, err := cli.configured(c.Config)
	if err != nil {
		return err
	}
	if len(c.Bundle) > 0 {
		config.Policy.Bundles = c.Bundle
	}
	if len(c.ExtAuthz) > 0 {
		config.ExtAuthz.Listen = c.ExtAuthz
	}
	for _, address := range c.Admin {
		if path, ok := strings.CutPrefix(address, "unix:"); ok {
			config.Admin.Socket = path
		} else {
			config.Admin.Listen = address
		}
	}
	if c.Diagnostics != "" {
		config.Diagnostics.Listen = c.Diagnostics
	}
	lines := telemetry.NewLogWriter(os.Stderr)
	defer func() {
		within, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = lines.Close(within) // nobody takes lines, to be told of it
	}()
	app := &App{Config: *config, Log: logger(config.Log, lines), LogLinesLost: lines.Lost}
	app.memory = newMemory(ctx, app.Log)
	if err := app.Start(ctx); err != nil {
		return err
	}
	defer app.Close()
	select {
	case <-ctx.Done():
		app.Log.Info("stopping")
		return nil
	case err := <-app.Failed():
		return fmt.Errorf("stopped: %w", err)
	}
}

func logger(c LogConfig, out io.Writer) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(c.Level)) // checked; empty stays info
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewTextHandler(out, o)
	if c.Format == "json" {
		h = slog.NewJSONHandler(out, o)
	}
	return slog.New(telemetry.Guard(h))
}
