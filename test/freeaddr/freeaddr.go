// Package freeaddr chooses addresses for servers that are started later, by another
// process or again after a stop.
//
// A port that the kernel chose, given back and bound a moment later may meanwhile
// have become the near end of some connection. These are of a range of which the
// kernel gives none, and are claimed until this process ends.
package freeaddr

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
)

// first is the lowest port that is handed out.
const first = 10_000

// claimed holds the UDP side of each port that was handed out: what two processes
// of one machine can't both have, while TCP stays free for the server.
var claimed struct {
	sync.Mutex
	sides []net.PacketConn
}

// Loopback is an address of 127.0.0.1, a host and a port, at which nothing listens
// and that no other process gets from here until this one ends.
func Loopback() (string, error) {
	last := ephemeral()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))
		claim, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			_ = claim.Close()
			continue
		}
		_ = l.Close()
		claimed.Lock()
		claimed.sides = append(claimed.sides, claim)
		claimed.Unlock()
		return address, nil
	}
	return "", errors.New("of 1,000 ports none is free on 127.0.0.1")
}

// ephemeral is the lowest port that the kernel gives to those who ask for none
// (Linux; elsewhere its default there, which is lower than other systems').
func ephemeral() int {
	low := 32_768
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(text), &low)
	}
	if low < first+1000 {
		return 32_768 // all are the kernel's: the claim and the look are what is left
	}
	return low
}

// For is Loopback for a test, which fails where there is none.
func For(t testing.TB) string {
	t.Helper()
	address, err := Loopback()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
