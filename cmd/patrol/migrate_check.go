package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/patrol-authz/patrol/authz/dropin"
	"github.com/patrol-authz/patrol/bundles"
)

// MigrateCheckCmd says what patrol takes over of OPA's configuration.
type MigrateCheckCmd struct {
	Config string `arg:"" type:"path" help:"A configuration file of OPA or opa-envoy-plugin, YAML or JSON."`
}

// Help gives an example.
func (*MigrateCheckCmd) Help() string {
	return "Says of each key whether patrol takes it over as it stands (under opa: in its own file), has it under another name, passes it over as OPA does, or has nothing like it; and which decision the policy is asked for. " +
		"Values are not shown but for that. Nothing is changed, and nothing is asked of the services that it names. Exit 0: nothing would be lost; 1: something would be, or patrol refuses the file; 2: it is no configuration.\n\n" +
		example("patrol migrate check opa-config.yaml")
}

// What becomes of a key.
const (
	keyTaken   = "taken over"
	keyRenamed = "named otherwise"
	keyIgnored = "ignored" // by OPA, too
	keyLost    = "lost"
)

// migration is what becomes of a configuration.
type migration struct {
	// Mode is drop-in where the file has the plugin's section, else patrol's own.
	Mode       string     `json:"mode"`
	Entrypoint string     `json:"entrypoint"`
	Expects    string     `json:"expects"`
	Keys       []keyFound `json:"keys"`
	Lost       int        `json:"lost"`
	// Unset are the environment's variables that the file names and that are not
	// set here.
	Unset []string `json:"unset,omitempty"`
	// Refused is why patrol would not take what it takes over.
	Refused string `json:"refused,omitempty"`
}

// keyFound is a key of the file.
type keyFound struct {
	Key     string `json:"key"`
	Verdict string `json:"verdict"`
	Note    string `json:"note,omitempty"`
}

// Run says it.
func (c *MigrateCheckCmd) Run(_ context.Context, cli *CLI) error {
	text, err := os.ReadFile(c.Config)
	if err != nil {
		return usage{err}
	}
	var config map[string]any
	expanded, missing := expand(string(text))
	if err := yaml.Unmarshal([]byte(expanded), &config); err != nil {
		return usagef("%s: %s", c.Config, decodeError(err))
	}
	if len(config) == 0 {
		return usagef("%s: there is no key in it", c.Config)
	}
	out := migrationOf(config)
	for _, u := range missing {
		out.Unset = append(out.Unset, u.name)
	}
	err = cli.print(out, func(t *table) {
		t.row("mode", out.Mode)
		t.row("decision", out.Entrypoint)
		t.row("expects", out.Expects)
		if len(out.Unset) > 0 {
			t.row("not set here", strings.Join(out.Unset, ", ")+": OPA leaves the text as it is; patrol does not start without them, unless ${NAME:-default} is written")
		}
		t.row()
		t.row("KEY", "VERDICT", "NOTE")
		for _, k := range out.Keys {
			t.row(k.Key, k.Verdict, k.Note)
		}
	})
	switch {
	case err != nil:
		return err
	case out.Refused != "":
		return errors.New(out.Refused)
	case out.Lost > 0:
		return fmt.Errorf("%s would be lost", counted(out.Lost, "key"))
	}
	return nil
}

// fate is what becomes of a key that is set, unless to a value by which nothing
// changes.
type fate struct {
	verdict, note string
	harmless      func(value any) bool
}

const pluginSection = "envoy_ext_authz_grpc"

// fates of OPA's keys. One that ends in .* is for each below it that has none.
var fates = map[string]fate{
	"services.*":                     {verdict: keyTaken},
	"keys.*":                         {verdict: keyTaken},
	"bundle":                         {verdict: keyRenamed, note: "write it under bundles: OPA gave bundle up"},
	"labels":                         {verdict: keyLost, note: "nothing is sent that would carry them, and opa.runtime() has none"},
	"discovery":                      {verdict: keyLost, note: "the configuration is one file"},
	"decision_logs.console":          {verdict: keyLost, note: "in patrol's own mode refusals are logged (log.denials_per_second) and kept (patrol why); in drop-in mode nothing is", harmless: isFalse},
	"decision_logs.*":                {verdict: keyLost, note: "decisions are sent nowhere; in patrol's own mode refusals are kept (patrol why), all are counted (metrics), and patrol policy record follows them"},
	"status.prometheus":              {verdict: keyRenamed, note: "metrics patrol_bundle_… on diagnostics.listen", harmless: isFalse},
	"status.console":                 {verdict: keyRenamed, note: "activations and refusals of bundles are logged", harmless: isFalse},
	"status.*":                       {verdict: keyLost, note: "status is sent nowhere: patrol bundle status and the metrics have it"},
	"default_decision":               {verdict: keyLost, note: "OPA's own API is not served: Envoy's decision is the plugin's path"},
	"default_authorization_decision": {verdict: keyLost, note: "OPA's own API is not served: data.patrol.admin judges who asks patrol's"},
	"caching":                        {verdict: keyLost, note: "caches of built-ins have the sizes of OPA's defaults"},
	"nd_builtin_cache":               {verdict: keyLost, note: "it is for decision logs", harmless: isFalse},
	"persistence_directory":          {verdict: keyRenamed, note: "data_dir; the last good bundle is always kept there"},
	"distributed_tracing":            {verdict: keyLost, note: "there is no tracing"},
	"metrics_export":                 {verdict: keyLost, note: "metrics are read at diagnostics.listen, /metrics"},
	"server":                         {verdict: keyLost, note: "OPA's own API is not served"},
	"storage":                        {verdict: keyLost, note: "policy and data are held in memory"},
}

// pluginFates are those of the keys of the plugin's section.
var pluginFates = map[string]fate{
	"addr":                                  {verdict: keyRenamed, note: "ext_authz.listen"},
	"path":                                  {verdict: keyTaken},
	"query":                                 {verdict: keyTaken},
	"dry-run":                               {verdict: keyTaken},
	"proto-descriptor":                      {verdict: keyTaken},
	"skip-request-body-parse":               {verdict: keyTaken},
	"enable-reflection":                     {verdict: keyLost, note: "the gRPC server tells nothing about itself", harmless: isFalse},
	"enable-performance-metrics":            {verdict: keyLost, note: "in drop-in mode requests are not timed", harmless: isFalse},
	"grpc-request-duration-seconds-buckets": {verdict: keyLost, note: "in drop-in mode requests are not timed"},
	"grpc-max-recv-msg-size":                {verdict: keyLost, note: "16 MiB, whatever it says", harmless: atMost(16 << 20)},
	"grpc-max-send-msg-size":                {verdict: keyRenamed, note: "answers have no limit"},
}

// bundleFates are those of the keys of a bundle.
var bundleFates = map[string]fate{
	"service":          {verdict: keyTaken},
	"resource":         {verdict: keyTaken},
	"polling":          {verdict: keyTaken},
	"signing":          {verdict: keyTaken},
	"trigger":          {verdict: keyTaken},
	"persist":          {verdict: keyRenamed, note: "the last good one is always kept"},
	"size_limit_bytes": {verdict: keyRenamed, note: "a bundle is 256 MiB at most, unpacked, and a file of it 64 MiB"},
}

func isFalse(value any) bool { return value == false }

// atMost is of numbers up to one.
func atMost(most float64) func(any) bool {
	return func(value any) bool {
		n, err := strconv.ParseFloat(fmt.Sprint(value), 64)
		return err == nil && n <= most
	}
}

// migrationOf looks at each key.
func migrationOf(config map[string]any) *migration {
	m := &migration{Mode: "patrol's own", Entrypoint: "data.patrol.authz.decision", Keys: []keyFound{}}
	m.Expects = "an object with allowed and reason, which the base bundle gives; the bundles' rules lie under data.local. A policy of another package is asked too where policy.decisions names it"
	plugins, _ := config["plugins"].(map[string]any)
	section, dropIn := plugins[pluginSection]
	if dropIn {
		m.Mode = "drop-in"
		m.dropIn(section)
	}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		switch value := config[key]; key {
		case "plugins":
			m.plugins(plugins)
		case "bundles":
			m.bundles(value, dropIn)
		default:
			m.section(key, value)
		}
	}
	m.refuse(config)
	return m
}

// add takes note of a key.
func (m *migration) add(key string, f fate, value any) {
	if f.harmless != nil && f.harmless(value) {
		f.verdict, f.note = keyTaken, ""
	}
	if f.verdict == keyLost {
		m.Lost++
	}
	m.Keys = append(m.Keys, keyFound{key, f.verdict, f.note})
}

// section is a key of the file, and those below it that are told apart.
func (m *migration) section(key string, value any) {
	if f, known := fates[key]; known {
		m.add(key, f, value)
		return
	}
	rest, known := fates[key+".*"]
	if !known {
		m.add(key, fate{verdict: keyIgnored, note: "it is no key of OPA's, which does not look at it; patrol refuses it"}, value)
		return
	}
	below, ok := value.(map[string]any)
	if !ok {
		m.add(key, rest, value)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		f, known := fates[key+"."+name]
		if !known {
			f = rest
		}
		m.add(key+"."+name, f, below[name])
	}
}

func (m *migration) plugins(plugins map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(plugins)) {
		if name != pluginSection {
			m.add("plugins."+name, fate{verdict: keyLost, note: "there is no such plugin; patrol refuses it"}, nil)
			continue
		}
		section, _ := plugins[name].(map[string]any)
		if len(section) == 0 {
			m.add("plugins."+name, fate{verdict: keyTaken}, nil)
		}
		for _, key := range slices.Sorted(maps.Keys(section)) {
			f, known := pluginFates[key]
			if !known {
				f = fate{verdict: keyIgnored, note: "it is no key of the plugin's, which does not look at it; patrol refuses it"}
			}
			m.add("plugins."+name+"."+key, f, section[key])
		}
	}
}

func (m *migration) bundles(value any, dropIn bool) {
	all, _ := value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if dropIn {
			m.add("bundles."+name, fate{verdict: keyLost, note: "in drop-in mode the policy is read from the folders of policy.bundles: have the bundle unpacked there"}, nil)
			continue
		}
		one, _ := all[name].(map[string]any)
		if len(one) == 0 {
			m.add("bundles."+name, fate{verdict: keyTaken}, nil)
		}
		for _, key := range slices.Sorted(maps.Keys(one)) {
			f, known := bundleFates[key]
			if !known {
				f = fate{verdict: keyIgnored, note: "it is no key of a bundle; patrol refuses it"}
			}
			m.add("bundles."+name+"."+key, f, one[key])
		}
	}
}

// dropIn says which decision the plugin's section asks for.
func (m *migration) dropIn(section any) {
	m.Expects = "as the plugin: a boolean, or an object with allowed and its headers, body, http_status, …; input is the plugin's. The policy's folders go to policy.bundles"
	s, _ := section.(map[string]any)
	query, _ := s["query"].(string)
	path, _ := s["path"].(string)
	switch {
	case query != "":
		m.Entrypoint = query
	case path == "":
		path = dropin.DefaultPath
		fallthrough
	default:
		m.Entrypoint = "data." + strings.ReplaceAll(strings.Trim(path, "/"), "/", ".")
	}
}

// refuse says what patrol has against what it takes over.
func (m *migration) refuse(config map[string]any) {
	kept := map[string]any{}
	for _, key := range []string{"services", "keys", "bundles"} {
		if value, ok := config[key]; ok {
			kept[key] = value
		}
	}
	text, err := json.Marshal(kept)
	if err == nil {
		_, err = bundles.ParseRemote(text)
	}
	plugins, _ := config["plugins"].(map[string]any)
	if section, ok := plugins[pluginSection]; ok && err == nil {
		known, _ := section.(map[string]any)
		known = maps.Clone(known)
		maps.DeleteFunc(known, func(key string, _ any) bool { _, is := pluginFates[key]; return !is })
		if text, err = json.Marshal(known); err == nil {
			_, err = dropin.ParseConfig(text)
		}
	}
	if err != nil {
		m.Refused = "patrol refuses it: " + strings.TrimPrefix(err.Error(), "opa: ")
	}
}
