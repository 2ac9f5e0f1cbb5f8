package extauthz

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/answer"
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
	// Attributes shows a message to policies that read input.attributes whole;
	// nil: by protojson.
	Attributes func(*authv3.AttributeContext) (map[string]any, error)
	// MaxInFlight sheds what comes above it; default 4,096.
	MaxInFlight int
	// MaxMessage is the greatest message taken, in bytes; default 16 MiB, well
	// above Envoy's body limit, since grpc-go answers a greater one by an error.
	MaxMessage int
	// Workers are goroutines kept for requests; default 32.
	Workers uint32
	Log     *slog.Logger
}

// Server is an ext_authz server. Give it listeners, then Stop it.
type Server struct {
	Options
	grpc     *grpc.Server
	health   *health.Server
	inFlight atomic.Int64
}

// New makes a server. It is not serving until told by [Server.SetReady].
func New(o Options) *Server {
	if o.MaxInFlight == 0 {
		o.MaxInFlight = 4096
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = 16 << 20
	}
	if o.Workers == 0 {
		o.Workers = 32
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{Options: o, health: health.NewServer()}
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(newCodec()), grpc.MaxRecvMsgSize(o.MaxMessage), grpc.NumStreamWorkers(o.Workers),
		grpc.InitialWindowSize(1<<20), grpc.InitialConnWindowSize(1<<24), grpc.MaxConcurrentStreams(100_000),
	)
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: Service, HandlerType: (*any)(nil), Metadata: "envoy/service/auth/v3/external_auth.proto",
		Methods: []grpc.MethodDesc{{MethodName: "Check", Handler: s.handle}},
	}, s)
	healthpb.RegisterHealthServer(s.grpc, s.health)
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
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Stop tells health checks, lets requests under way end, and stops after at
// most the time given.
func (s *Server) Stop(within time.Duration) {
	s.SetReady(false)
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(within):
		s.grpc.Stop()
		<-done
	}
}

func (s *Server) handle(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var wire wireRequest
	if err := decode(&wire); err != nil {
		// Only the transport can fail here; denied in band all the same.
		return s.refuse(ctx, authz.ReasonRequestMalformed, "the message could not be received"), nil //nolint:nilerr // denied in band
	}
	return s.Check(ctx, wire.bytes), nil
}

// Check answers the bytes of a CheckRequest. It never returns nil, never
// panics, and the answer's status is always set.
func (s *Server) Check(ctx context.Context, wire []byte) (out *authv3.CheckResponse) {
	defer func() {
		if cause := recover(); cause != nil {
			s.Log.Error("panic while answering", "cause", cause)
			out = nil
		}
		if out.GetStatus() == nil || out.GetStatus().GetCode() == 0 && out.GetDeniedResponse() != nil {
			out = closed()
		}
	}()
	if s.inFlight.Add(1) > int64(s.MaxInFlight) {
		s.inFlight.Add(-1)
		return s.refuse(ctx, authz.ReasonOverloaded, "")
	}
	defer s.inFlight.Add(-1)
	if s.Responder != nil {
		return s.Responder.Respond(ctx, wire)
	}
	r := &authv3.CheckRequest{}
	if err := proto.Unmarshal(wire, r); err != nil {
		return s.refuse(ctx, authz.ReasonRequestMalformed, "the message could not be decoded")
	}
	if r.GetAttributes().GetRequest().GetHttp() == nil {
		return s.refuse(ctx, authz.ReasonRequestMalformed, "the message describes no HTTP request")
	}
	return respond(answer.Render(s.Decider.Decide(ctx, NewView(r, s.Attributes)), s.Answer))
}

func (s *Server) refuse(ctx context.Context, reason, detail string) *authv3.CheckResponse {
	if s.Decider == nil {
		return closed()
	}
	return respond(answer.Render(s.Decider.Refuse(ctx, reason, detail), s.Answer))
}

// closed is the answer when all else failed.
func closed() *authv3.CheckResponse {
	r := authz.BuiltinReasons[authz.ReasonPolicyError]
	return respond(answer.Render(&authz.Outcome{Reason: r, Decision: authz.Decision{Reason: r.Code}}, answer.Options{}))
}
