package extauthz

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

// Trust says whose word on dynamic metadata counts: which Envoys may tell that
// they verified a token. The zero one trusts nobody.
type Trust struct {
	Unix     bool // whoever can open a Unix socket of ext_authz
	Networks []netip.Prefix
	// Identities are of certificates that were shown over mutual TLS.
	Identities []string
}

// ParseTrust reads a list of "unix", addresses, networks (CIDR), and "tls:" with
// an identity.
func ParseTrust(list []string) (Trust, error) {
	var t Trust
	for i, text := range list {
		if text == "unix" {
			t.Unix = true
			continue
		}
		if id, ok := strings.CutPrefix(text, "tls:"); ok {
			if err := checkIdentity(id); err != nil {
				return Trust{}, fmt.Errorf("[%d]: %w", i, err)
			}
			t.Identities = append(t.Identities, id)
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if !strings.Contains(text, "/") {
			var address netip.Addr
			if address, err = netip.ParseAddr(text); err == nil {
				prefix = netip.PrefixFrom(address, address.BitLen())
			}
		}
		switch {
		case err != nil:
			return Trust{}, fmt.Errorf("[%d]: %q is neither unix, an address, a network, nor tls: with an identity", i, text)
		case prefix != prefix.Masked():
			return Trust{}, fmt.Errorf("[%d]: %q names a host in a network: write %s", i, text, prefix.Masked())
		case prefix.Bits() == 0:
			return Trust{}, fmt.Errorf("[%d]: %q is everybody, who could tell anything", i, text)
		}
		t.Networks = append(t.Networks, prefix)
	}
	return t, nil
}

// Nobody says whether nobody is trusted.
func (t Trust) Nobody() bool { return !t.Unix && len(t.Networks)+len(t.Identities) == 0 }

// counts says whether the word of a call's other end counts. The connection
// says who that is, and nothing in the message.
func (t Trust) counts(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return false
	}
	if p.Addr.Network() == "unix" {
		return t.Unix
	}
	addr := p.Addr
	if over, ok := addr.(tlsAddr); ok {
		if slices.ContainsFunc(identitiesOf(over.conn.ConnectionState()), func(id string) bool { return slices.Contains(t.Identities, id) }) {
			return true
		}
		addr = over.Addr
	}
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	for _, n := range t.Networks {
		if n.Contains(address) {
			return true
		}
	}
	return false
}

// showMetadata reads what one filter noted.
func showMetadata(metadata, filter string) (map[string]any, error) {
	m := &corev3.Metadata{}
	if err := proto.Unmarshal([]byte(metadata), m); err != nil {
		return nil, fmt.Errorf("decode the metadata: %w", err)
	}
	noted := m.GetFilterMetadata()[filter]
	if noted == nil {
		return nil, nil
	}
	return noted.AsMap(), nil
}
