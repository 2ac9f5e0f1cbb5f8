package decide

import (
	"hash/maphash"
	"net/netip"
	"strings"
	"sync/atomic"

	"github.com/patrol-authz/patrol/authz"
)

// clients remembers what was made of the addresses met last, so that the same
// client is not written out anew at each request. Its size is fixed: an address
// takes the place of another of the same hash.
type clients [256]atomic.Pointer[known]

type known struct {
	address string
	client  authz.Client
}

var clientSeed = maphash.MakeSeed()

func (c *clients) of(address string) authz.Client {
	if address == "" {
		return authz.Client{}
	}
	place := &c[maphash.String(clientSeed, address)%uint64(len(c))]
	if k := place.Load(); k != nil && k.address == address {
		return k.client
	}
	client := clientOf(address)
	place.Store(&known{strings.Clone(address), client}) // of its own: the address is a part of the request
	return client
}

// clientOf is an address in its usual form, and its network.
func clientOf(address string) authz.Client {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return authz.Client{}
	}
	ip = ip.Unmap()
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	network, err := ip.Prefix(bits)
	if err != nil {
		return authz.Client{Address: ip.String()}
	}
	return authz.Client{Address: ip.String(), Network: network.String()}
}
