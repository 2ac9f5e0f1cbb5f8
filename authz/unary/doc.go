// Package unary serves gRPC methods whose messages are bytes, over HTTP/2 (RFC 9113
// and gRPC's "gRPC over HTTP2"), for much less than a server for everything can: the
// goroutine that reads a connection answers by itself, so that nobody is
// woken for a request, and the answers to what came by one read are written by one
// write. Frames and header blocks are read by golang.org/x/net/http2 and its hpack.
//
//   - [Server] takes listeners and holds their connections (server.go);
//   - a connection (conn.go) reads frames (frames.go) and settings (settings.go),
//     makes calls of header blocks (head.go) and writes (write.go, encode.go);
//   - a [Call] is the context of its handler (call.go), and what came of its message
//     (message.go);
//   - a [Question], a call with its message, is answered by a [Method], in one step or
//     several (method.go): what was read together goes together, each step for all
//     before the next, so that the processor has at hand what a step needs.
//
// A step that is going to wait says so by [Call.Block]: another goroutine then goes
// on with the other questions, and reads the connection on, as Go's scheduler does
// for a system call. Where nobody blocks, a connection's requests are answered by one
// goroutine.
//
// Left out is what no caller of such methods needs: compressed messages, streams of
// requests, and frames that a server pushes.
package unary
