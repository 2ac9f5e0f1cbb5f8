package extauthz

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz/unary"
)

// healthCheck serves grpc.health.v1.Health/Check.
func (s *Server) healthCheck(q *unary.Question) ([]byte, error) {
	asked, err := healthRequest(q.Message, q.Problem)
	if err != nil {
		return nil, err
	}
	r, err := s.health.Check(q.Call, asked)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(r)
}

// healthWatch serves grpc.health.v1.Health/Watch.
func (s *Server) healthWatch(call *unary.Call, message string, problem error) error {
	q, err := healthRequest(message, problem)
	if err != nil {
		return err
	}
	return s.health.Watch(q, watcher{call: call})
}

func healthRequest(message string, problem error) (*healthpb.HealthCheckRequest, error) {
	q := &healthpb.HealthCheckRequest{}
	if problem == nil {
		problem = proto.Unmarshal([]byte(message), q)
	}
	if problem != nil {
		return nil, status.Error(codes.InvalidArgument, problem.Error())
	}
	return q, nil
}

// watcher is the stream of a Watch, of which gRPC's health server uses Send and
// Context alone.
type watcher struct {
	grpc.ServerStream
	call *unary.Call
}

func (w watcher) Context() context.Context { return w.call }

func (w watcher) Send(r *healthpb.HealthCheckResponse) error {
	message, err := proto.Marshal(r)
	if err != nil {
		return err
	}
	return w.call.Send(message)
}
