package main

import (
	"context"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/credential"
	"github.com/patrol-authz/patrol/authz/decide"
	"github.com/patrol-authz/patrol/authz/extauthz"
	"github.com/patrol-authz/patrol/authz/input/protodoc"
	"github.com/patrol-authz/patrol/authz/inventory"
	"github.com/patrol-authz/patrol/authz/telemetry"
)

func (a *App) decisions(responder extauthz.Responder) {
	a.reuses = newReuses(func(ctx context.Context, c inventory.Command) error {
		_, err := (&commands{a}).Do(ctx, inventory.Actor{Kind: "system", Name: "patrol"}, c)
		return err
	}, a.Log, a.Clock)
	a.Pipeline = decide.New(decide.Options{
		Sources: a.tokenSources(), Policy: a.Bundles, Inventory: follower{a.Follower}, Digester: a.digester, Opener: &commands{a},
		Recorder:     telemetry.Recorders{a.Metrics, a.Usage, a.Records, a.reuses, a.Shadow, a.denialLog()},
		Credentials:  credential.Parser{Headers: a.Config.Policy.CredentialHeaders},
		MaxStaleness: time.Duration(a.Config.Inventory.MaxStaleness), TrustedHops: a.Config.Policy.TrustedHops, OwnTrustedHops: a.Config.Admin.TrustedHops, Clock: a.Clock,
	})
	a.Preview = a.previewer()
	a.Server = extauthz.New(extauthz.Options{
		Decider: a.Pipeline, Responder: responder, Answer: a.answerOptions(), Trust: a.Config.Sources.trust(), Log: a.Log,
		Attributes: func(c *authv3.AttributeContext) (map[string]any, error) { return protodoc.Of(c) },
	})
}

func (a *App) denialLog() *telemetry.DenialLog {
	return &telemetry.DenialLog{Log: a.Log, PerSecond: a.Config.Log.Denials, CredentialHeaders: a.Config.Policy.CredentialHeaders, Clock: a.Clock}
}

func (a *App) answerOptions() answer.Options {
	return answer.Options{
		PublicURL: a.Config.Answer.PublicURL, Realm: a.Config.Answer.Realm, CredentialHeaders: a.Config.Policy.CredentialHeaders,
		HubWarnings: a.Config.Answer.HubWarnings == nil || *a.Config.Answer.HubWarnings,
	}
}
