package main

import (
	"encoding/json"
	"net"
	"net/http"
	"time"
)

// hub is the upstream: it answers everything, and says who patrol told it asks.
type hub struct {
	*http.Server
	address string
}

func startHub() (*hub, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hub{address: l.Addr().String(), Server: &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(echo)}}
	go func() { _ = h.Serve(l) }()
	return h, nil
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"path": r.URL.Path, "token": r.Header.Get("x-patrol-token-id"), "owner": r.Header.Get("x-patrol-owner"), "organization": r.Header.Get("x-patrol-organization"),
	})
}
