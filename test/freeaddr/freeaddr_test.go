package freeaddr

import (
	"net"
	"strconv"
	"testing"
)

// TestAnAddressIsItsOwnersUntilTheEnd: none is handed out twice, the kernel gives
// none of them to who asks for no port, and a server can listen at it.
func TestAnAddressIsItsOwnersUntilTheEnd(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		address := For(t)
		if seen[address] {
			t.Fatalf("%s was handed out twice", address)
		}
		seen[address] = true
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := strconv.Atoi(port); n < first || n >= ephemeral() {
			t.Errorf("%s is of the kernel's range, from %d", address, ephemeral())
		}
		if claim, err := net.ListenPacket("udp", address); err == nil {
			claim.Close()
			t.Errorf("another could have claimed %s", address)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("a server can't listen at %s: %v", address, err)
			continue
		}
		l.Close()
	}
}
