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
	// Begin looks at a request up to its facts.
	Begin(context.Context, authz.Request) authz.Deciding
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
	// MaxBytes sheds large messages (of more than 64 KiB) above it, by what is in flight
	// of them, in bytes; default 64 MiB. What is read of a message takes several times
	// its size.
	MaxBytes int64
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
	bytes    atomic.Int64 // of the large ones
	slow     atomic.Int32
	show     wire.Show
	answers  *prebuilt
}

// New makes a server. It is not serving until told by [Server.SetReady].
func New(o Options) *Server {
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 4096
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 16 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, health: health.NewServer(), show: shower(o.Attributes), answers: newPrebuilt(o.Answer)}
	s.calls = unary.New(unary.Options{
		Unary:   map[string]unary.Method{"/" + Service + "/Check": {s.begin, s.evaluate, s.tell}, healthpb.Health_Check_FullMethodName: unary.At(s.healthCheck)},
		Streams: map[string]unary.StreamMethod{healthpb.Health_Watch_FullMethodName: s.healthWatch},
		// What is too much is shed, and told so: there may be more calls than that.
		MaxMessage: o.MaxMessage, MaxStreams: 2 * o.MaxInFlight, Log: o.Log,
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

// large is a message that takes long to look through, in bytes.
const large = 64 << 10

// The steps of Check: a request's facts, the policy, the answer. What is wrong with
// a message is denied in band, too: no setting of a proxy shall make it an allow.

func (s *Server) begin(q *unary.Question) {
	defer s.guard(&q.Answer)
	if q.Answer = s.admit(q.Call, q.Message, q.Problem); q.Answer != nil {
		return
	}
	if n := s.slow.Load(); n > 0 {
		s.slow.Store(n - 1)
		q.Call.Block()
	} else if s.Responder != nil || len(q.Message) > large {
		q.Call.Block()
	}
	var d authz.Deciding
	if d, q.Answer = s.look(q.Call, q.Message); d != nil {
		q.State = d
	}
}

func (s *Server) evaluate(q *unary.Question) {
	if d, ok := q.State.(authz.Deciding); ok {
		defer s.guard(&q.Answer)
		begun := time.Now()
		if d.Evaluate(q.Call); time.Since(begun) > long {
			s.slow.Store(likewise)
		}
	}
}

func (s *Server) tell(q *unary.Question) {
	if d, ok := q.State.(authz.Deciding); ok {
		defer s.leave(q.Message)
		defer s.guard(&q.Answer)
		if q.Answer == nil { // no panic was met
			q.Answer = s.answers.answer(d.Outcome(), q.Room)
		}
	}
	if len(q.Answer) == 0 { // to Envoy that is an allow
		q.Answer = closed
	}
}

// guard makes the answer of a panic.
func (s *Server) guard(answer *[]byte) {
	if cause := recover(); cause != nil {
		s.Log.Error("panic while answering", "cause", cause)
		*answer = closed
	}
}

// Check answers the bytes of a CheckRequest with those of a CheckResponse: in the
// room, which is empty and may be nil, where that suffices. It never panics, and the
// answer's status is always set.
func (s *Server) Check(ctx context.Context, message string, room []byte) (answer []byte) {
	defer s.guard(&answer)
	if answer = s.admit(ctx, message, nil); answer != nil {
		return answer
	}
	d, answer := s.look(ctx, message)
	if d == nil {
		return answer
	}
	defer s.leave(message)
	d.Evaluate(ctx)
	return s.answers.answer(d.Outcome(), room)
}

// admit counts a message as in flight until [Server.leave], or gives the answer to what
// could not be received or is too much.
func (s *Server) admit(ctx context.Context, message string, problem error) (answer []byte) {
	if problem != nil {
		return s.refuse(ctx, authz.ReasonRequestMalformed, "the message could not be received")
	}
	shed := s.inFlight.Add(1) > int64(s.MaxInFlight)
	if len(message) > large {
		shed = s.bytes.Add(int64(len(message))) > s.MaxBytes || shed
	}
	if shed {
		s.leave(message)
		return s.refuse(ctx, authz.ReasonOverloaded, "")
	}
	return nil
}

func (s *Server) leave(message string) {
	s.inFlight.Add(-1)
	if len(message) > large {
		s.bytes.Add(-int64(len(message)))
	}
}

// look begins a decision on what was admitted, or gives the answer at once: then it is
// in flight no more.
func (s *Server) look(ctx context.Context, message string) (d authz.Deciding, answer []byte) {
	defer func() {
		if d == nil {
			s.leave(message)
		}
	}()
	if s.Responder != nil {
		return nil, s.respond(ctx, message)
	}
	r, err := wire.Parse(message, s.show)
	if err != nil {
		return nil, s.refuse(ctx, authz.ReasonRequestMalformed, "the message could not be decoded")
	}
	if !r.Describes() {
		return nil, s.refuse(ctx, authz.ReasonRequestMalformed, "the message describes no HTTP request")
	}
	if !s.Trust.Nobody() && s.Trust.counts(ctx) {
		r.Vouch(showMetadata)
	}
	return s.Decider.Begin(ctx, r), nil
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
