package extauthz

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
	"github.com/patrol-authz/patrol/authz/unary"
	"github.com/patrol-authz/patrol/authz/wire"
)

// Service is the full name of Envoy's service, also for health checks.
const Service = "envoy.service.auth.v3.Authorization"

// Decider decides requests; package decide.
type Decider interface {
	Decide(context.Context, authz.Request) *authz.Outcome
	Refuse(ctx context.Context, reason, detail string) *authz.Outcome
}

// Responder answers messages by itself, in opa-envoy-plugin's way.
type Responder interface {
	Respond(ctx context.Context, wire []byte) *authv3.CheckResponse
}

// Options of a server; Decider or Responder is required.
type Options struct {
	Decider Decider
	// Responder, where it is set, answers instead of Decider.
	Responder Responder
	Answer    answer.Options
	// Trust says whose word on dynamic metadata counts; the zero one: nobody's.
	Trust Trust
	// Attributes shows a message to policies that read input.attributes whole;
	// nil: by protojson.
	Attributes func(*authv3.AttributeContext) (map[string]any, error)
	// MaxInFlight sheds what comes above it; default 4,096.
	MaxInFlight int
	// MaxMessage is the greatest message taken, in bytes; default 16 MiB, well
	// above Envoy's body limit. A greater one is denied.
	MaxMessage int
	Log        *slog.Logger
}

// Server is an ext_authz server. Give it listeners, then Stop it.
type Server struct {
	Options
	calls    *unary.Server
	health   *health.Server
	inFlight atomic.Int64
	slow     atomic.Int32
	show     wire.Show
	answers  *prebuilt
}

// New makes a server. It is not serving until told by [Server.SetReady].
func New(o Options) *Server {
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 4096
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 16 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, health: health.NewServer(), show: shower(o.Attributes), answers: newPrebuilt(o.Answer)}
	s.calls = unary.New(unary.Options{
		Unary:      map[string]unary.Method{"/" + Service + "/Check": s.handle, healthpb.Health_Check_FullMethodName: s.healthCheck},
		Streams:    map[string]unary.StreamMethod{healthpb.Health_Watch_FullMethodName: s.healthWatch},
		MaxMessage: o.MaxMessage, Log: o.Log,
	})
	s.SetReady(false)
	return s
}

// SetReady tells health checks whether to send requests here.
func (s *Server) SetReady(ready bool) {
	state := healthpb.HealthCheckResponse_NOT_SERVING
	if ready {
		state = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", state)
	s.health.SetServingStatus(Service, state)
}

// Serve answers on a listener until Stop.
func (s *Server) Serve(l net.Listener) error { return s.calls.Serve(l) }

// Stop tells health checks, lets requests under way end, and stops after at
// most the time given.
func (s *Server) Stop(within time.Duration) {
	s.SetReady(false)
	s.calls.Stop(within)
}

// A decision that took long is likely to be followed by others like it: so many
// calls are then answered beside each other, and not one after the other.
const (
	long     = time.Millisecond
	likewise = 64
)

// handle serves Check. What is wrong with a message is denied in band, too: no
// setting of a proxy shall make it an allow.
func (s *Server) handle(call *unary.Call, message string, problem error, room []byte) ([]byte, error) {
	if problem != nil {
		return s.refuse(call, authz.ReasonRequestMalformed, "the message could not be received"), nil //nolint:nilerr // in band
	}
	if s.Responder != nil {
		call.Block()
	} else if n := s.slow.Load(); n > 0 {
		s.slow.Store(n - 1)
		call.Block()
	}
	return s.Check(call, message, room), nil
}

// Check answers the bytes of a CheckRequest with those of a CheckResponse: in the
// room, which is empty and may be nil, where that suffices. It never panics, and the
// answer's status is always set.
func (s *Server) Check(ctx context.Context, message string, room []byte) (out []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			s.Log.Error("panic while answering", "cause", cause)
			out = closed
		}
	}()
	if s.inFlight.Add(1) > int64(s.MaxInFlight) {
		s.inFlight.Add(-1)
		return s.refuse(ctx, authz.ReasonOverloaded, "")
	}
	defer s.inFlight.Add(-1)
	if s.Responder != nil {
		return s.respond(ctx, message)
	}
	r, err := wire.Parse(message, s.show)
	if err != nil {
		return s.refuse(ctx, authz.ReasonRequestMalformed, "the message could not be decoded")
	}
	if !r.Describes() {
		return s.refuse(ctx, authz.ReasonRequestMalformed, "the message describes no HTTP request")
	}
	if !s.Trust.Nobody() && s.Trust.counts(ctx) {
		r.Vouch(showMetadata)
	}
	o := s.Decider.Decide(ctx, r)
	if o.Duration > long {
		s.slow.Store(likewise)
	}
	return s.answers.answer(o, room)
}

// respond lets the Responder answer. What it gives is not trusted to be one.
func (s *Server) respond(ctx context.Context, message string) []byte {
	r := s.Responder.Respond(ctx, []byte(message))
	if r.GetStatus() == nil || r.GetStatus().GetCode() == 0 && r.GetDeniedResponse() != nil {
		return closed
	}
	out, err := proto.Marshal(r)
	if err != nil {
		s.Log.Error("an answer could not be encoded", "error", err)
		return closed
	}
	return out
}

func (s *Server) refuse(ctx context.Context, reason, detail string) []byte {
	if s.Decider == nil {
		return closed
	}
	return s.answers.answer(s.Decider.Refuse(ctx, reason, detail), nil)
}

// closed is the answer when all else failed.
var closed = func() []byte {
	r := authz.BuiltinReasons[authz.ReasonPolicyError]
	return encode(answer.Render(&authz.Outcome{Reason: r, Decision: authz.Decision{Reason: r.Code}}, answer.Options{}))
}()
