package extauthz

import (
	"crypto/x509"
	"net"
	"testing"
)

// TestAConnectionThatClosesWhileHandsAreShakenIsForgotten: what is shown then is
// not noted for ever.
func TestAConnectionThatClosesWhileHandsAreShakenIsForgotten(t *testing.T) {
	r := &reloaded{shown: map[net.Conn][]*x509.Certificate{}}
	c, other := net.Pipe()
	defer c.Close()
	defer other.Close()
	r.open(c)
	r.note(c, []*x509.Certificate{{}})
	if len(r.shown[c]) != 1 {
		t.Error("who is at the other end is not known")
	}
	r.forget(c)
	r.note(c, []*x509.Certificate{{}})
	if len(r.shown) != 0 {
		t.Errorf("%d connections are noted", len(r.shown))
	}
}
