package main

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestASlowSenderDoesNotHoldTheAdminAddress: a body that never comes has a
// deadline, set before anything is read of it.
func TestASlowSenderDoesNotHoldTheAdminAddress(t *testing.T) {
	w := startApp(t, func(c *Config) { c.Admin.Listen = "127.0.0.1:0" })
	conn, err := net.Dial("tcp", w.Config.Admin.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /api/tokens HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	if err := conn.SetReadDeadline(time.Now().Add(50 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 12)
	if _, err := conn.Read(answer); err != nil {
		t.Fatalf("no answer within 50 seconds: %v", err)
	}
	if got := string(answer); got != "HTTP/1.1 401" && got != fmt.Sprintf("HTTP/1.1 %d", http.StatusRequestTimeout) {
		t.Errorf("it answers %q", got)
	}
}
