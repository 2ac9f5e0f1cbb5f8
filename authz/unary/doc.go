// Package unary serves gRPC methods whose messages are bytes, over HTTP/2 (RFC 9113
// and gRPC's "gRPC over HTTP2"), for much less than a server for everything can: the
// goroutine that reads a connection calls the handler itself, so that nobody is
// woken for a request, and the answers to what came by one read are written by one
// write. Frames and header blocks are read by golang.org/x/net/http2 and its hpack.
//
//   - [Server] takes listeners and holds their connections (server.go);
//   - a connection (conn.go) reads frames (frames.go) and settings (settings.go),
//     makes calls of header blocks (head.go) and writes (write.go);
//   - a [Call] is the context of its handler (call.go), and what came of its message
//     (message.go).
//
// A handler that is going to wait says so by [Call.Block]: another goroutine then
// reads the connection on, as Go's scheduler does for a system call. Where a
// connection's handlers do not block, its requests are answered one after the other.
//
// Left out is what no caller of such methods needs: compressed messages, streams of
// requests, and frames that a server pushes.
package unary
