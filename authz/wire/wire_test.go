package wire_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/patrol-authz/patrol/authz"
	"github.com/patrol-authz/patrol/authz/wire"
)

// same compares the reader with the generated code on one message.
func same(t testing.TB, message []byte) (accepted bool) {
	t.Helper()
	want := &authv3.CheckRequest{}
	wantErr := proto.Unmarshal(message, want)
	got, err := wire.Parse(string(message), nil)
	if errors.Is(err, wire.ErrTooMany) {
		return false
	}
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%x: got %v, the generated code %v", message, err, wantErr)
	}
	if err != nil {
		return false
	}
	http := want.GetAttributes().GetRequest().GetHttp()
	if got.Describes() != (http != nil) {
		t.Fatalf("%x: describes a request: %t", message, got.Describes())
	}
	for name, pair := range map[string][2]string{
		"id": {got.ID(), http.GetId()}, "method": {got.Method(), http.GetMethod()}, "path": {got.Path(), http.GetPath()},
		"host": {got.Host(), http.GetHost()}, "scheme": {got.Scheme(), http.GetScheme()}, "protocol": {got.Protocol(), http.GetProtocol()},
	} {
		if pair[0] != pair[1] {
			t.Fatalf("%x: %s is %q, want %q", message, name, pair[0], pair[1])
		}
	}
	if p := peer(want.GetAttributes().GetSource()); got.Source() != p {
		t.Fatalf("%x: source %v, want %v", message, got.Source(), p)
	}
	if p := peer(want.GetAttributes().GetDestination()); got.Destination() != p {
		t.Fatalf("%x: destination %v, want %v", message, got.Destination(), p)
	}
	sameHeaders(t, message, got, http)
	sameBody(t, message, got, http)
	extensions := want.GetAttributes().GetContextExtensions()
	for _, key := range append(keys(extensions), "", "a", "not there") {
		value, ok := got.Extension(key)
		if w, there := extensions[key]; value != w || ok != there {
			t.Fatalf("%x: extension %q is %q %t, want %q %t", message, key, value, ok, w, there)
		}
	}
	return true
}

func keys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func peer(p *authv3.AttributeContext_Peer) authz.Peer {
	socket := p.GetAddress().GetSocketAddress()
	out := authz.Peer{Address: socket.GetAddress(), Principal: p.GetPrincipal()}
	if port, ok := socket.GetPortSpecifier().(*corev3.SocketAddress_PortValue); ok {
		out.Port = port.PortValue
	}
	return out
}

// headers are all entries of both forms, names in lower case.
func headers(http *authv3.AttributeContext_HttpRequest) (all [][2]string) {
	for name, value := range http.GetHeaders() {
		all = append(all, [2]string{strings.ToLower(name), value})
	}
	for _, h := range http.GetHeaderMap().GetHeaders() {
		value := h.GetValue()
		if len(h.GetRawValue()) > 0 {
			value = string(h.GetRawValue())
		}
		all = append(all, [2]string{strings.ToLower(h.GetKey()), value})
	}
	return all
}

func sameHeaders(t testing.TB, message []byte, got *wire.Request, http *authv3.AttributeContext_HttpRequest) {
	t.Helper()
	want := headers(http)
	var all [][2]string
	got.EachHeader(func(name, value string) bool {
		all = append(all, [2]string{name, value})
		return true
	})
	byText := func(l [][2]string) func(i, j int) bool {
		return func(i, j int) bool { return l[i][0]+"\x00"+l[i][1] < l[j][0]+"\x00"+l[j][1] }
	}
	sorted := slices.Clone(all)
	sort.Slice(sorted, byText(sorted))
	sort.Slice(want, byText(want))
	if !slices.Equal(sorted, want) {
		t.Fatalf("%x: headers %q, want %q", message, sorted, want)
	}
	for _, name := range append(names(want), "", "authorization", "not there") {
		value, entries := got.Header(name)
		var values []string
		for _, h := range all {
			if h[0] == name {
				values = append(values, h[1])
			}
		}
		if entries != len(values) || entries > 0 && value != values[0] || entries == 0 && value != "" {
			t.Fatalf("%x: header %q is %q in %d entries, want %q", message, name, value, entries, values)
		}
	}
}

func names(headers [][2]string) (out []string) {
	for _, h := range headers {
		out = append(out, h[0])
	}
	return out
}

func sameBody(t testing.TB, message []byte, got *wire.Request, http *authv3.AttributeContext_HttpRequest) {
	t.Helper()
	body := http.GetRawBody()
	if len(body) == 0 {
		body = []byte(http.GetBody())
	}
	b := got.Body()
	partial, entries := got.Header("x-envoy-auth-partial-body")
	present := entries > 0 || len(body) > 0
	truncated := entries > 0 && !strings.EqualFold(partial, "false") || http.GetSize() > int64(len(body))
	if !bytes.Equal(b.Bytes, body) || b.Present != present || b.Truncated != truncated {
		t.Fatalf("%x: body %q %t %t, want %q %t %t", message, b.Bytes, b.Present, b.Truncated, body, present, truncated)
	}
}

// field and the rest write single fields, so that what no encoder writes can be.
func field(number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), value)
}

func number(number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), v)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// inHTTP puts fields where HttpRequest has them.
func inHTTP(parts ...[]byte) []byte { return field(1, field(4, field(2, join(parts...)))) }

func text(s string) []byte { return []byte(s) }

func entry(key, value string) []byte {
	return field(3, join(field(1, text(key)), field(2, text(value))))
}

var odd = map[string]struct {
	message  []byte
	accepted bool
}{
	"empty":                                {nil, true},
	"no attributes":                        {field(1, nil), true},
	"a repeated text: the last counts":     {inHTTP(field(2, text("GET")), field(2, text("PUT"))), true},
	"a repeated text, the last empty":      {inHTTP(field(2, text("GET")), field(2, nil)), true},
	"a repeated message is merged":         {join(inHTTP(field(2, text("GET")), entry("a", "1")), inHTTP(field(4, text("/x")), entry("b", "2"))), true},
	"a repeated key: the last counts":      {inHTTP(entry("a", "1"), entry("b", "2"), entry("a", "3")), true},
	"keys that differ by case are two":     {inHTTP(entry("a", "1"), entry("A", "2")), true},
	"an entry without a key":               {inHTTP(field(3, field(2, text("v")))), true},
	"an entry without a value":             {inHTTP(field(3, field(1, text("k")))), true},
	"an entry with two keys":               {inHTTP(field(3, join(field(1, text("k")), field(1, text("l")), field(2, text("v"))))), true},
	"an empty entry":                       {inHTTP(field(3, nil)), true},
	"a key with a letter beyond ASCII":     {inHTTP(entry("x-api-\u212aey", "v")), true},
	"raw headers":                          {inHTTP(field(13, join(field(1, join(field(1, text("A")), field(3, text("\xff")))), field(1, field(1, text("a")))))), true},
	"a raw value emptied again":            {inHTTP(field(13, field(1, join(field(1, text("a")), field(3, text("r")), field(2, text("v")), field(3, nil))))), true},
	"a text that is a number":              {inHTTP(number(2, 7), field(4, text("/x"))), true},
	"a map that is a number":               {inHTTP(number(3, 7)), true},
	"a message that is a number":           {field(1, join(number(4, 1), field(4, field(2, field(2, text("GET")))))), true},
	"a method that is not UTF-8":           {inHTTP(field(2, text("\xff"))), false},
	"a key that is not UTF-8":              {inHTTP(entry("\xc0", "v")), false},
	"a value that is not UTF-8":            {inHTTP(entry("k", "\xed\xa0\x80")), false},
	"an unread label that is not UTF-8":    {field(1, field(1, field(3, field(1, text("\xff"))))), false},
	"a raw value that is not UTF-8":        {inHTTP(field(13, field(1, field(3, text("\xff"))))), true},
	"a raw body that is not UTF-8":         {inHTTP(field(12, text("\xff"))), true},
	"an unknown field":                     {inHTTP(field(99, text("\xff")), field(2, text("GET"))), true},
	"a field number of zero":               {inHTTP([]byte{0x02, 0x00}), false},
	"a field number beyond the greatest":   {protowire.AppendVarint(nil, (1<<29)<<3), false},
	"an unknown group":                     {inHTTP([]byte{0x9b, 0x06, 0x08, 0x01, 0x9c, 0x06}, field(2, text("GET"))), true},
	"a group in a group":                   {inHTTP([]byte{0x9b, 0x06, 0x9b, 0x06, 0x9c, 0x06, 0x9c, 0x06}), true},
	"a group instead of the method":        {inHTTP([]byte{0x13, 0x14}), true},
	"a group that does not end":            {inHTTP([]byte{0x9b, 0x06}), false},
	"a group that another ends":            {inHTTP([]byte{0x9b, 0x06, 0xa4, 0x06}), false},
	"a great number in a group":            {inHTTP([]byte{0x9b, 0x06}, protowire.AppendVarint(nil, (1<<31-1)<<3), []byte{0x01, 0x9c, 0x06}), true},
	"too great a number in a group":        {inHTTP([]byte{0x9b, 0x06}, protowire.AppendVarint(nil, (1<<31)<<3), []byte{0x01, 0x9c, 0x06}), false},
	"the end of no group":                  {inHTTP([]byte{0x14}), false},
	"a reserved wire type":                 {inHTTP([]byte{0x16}), false},
	"a length beyond the end":              {inHTTP([]byte{0x12, 0x05, 'G'}), false},
	"a length of 64 bits":                  {join([]byte{0x0a}, bytes.Repeat([]byte{0xff}, 9), []byte{0x01}), false},
	"a number of eleven bytes":             {inHTTP(join([]byte{0x48}, bytes.Repeat([]byte{0xff}, 10), []byte{0x01})), false},
	"a number of ten bytes, overflowing":   {inHTTP(join([]byte{0x48}, bytes.Repeat([]byte{0xff}, 9), []byte{0x02})), false},
	"a size below zero":                    {inHTTP(number(9, 1<<64-1)), true},
	"a size beyond the body":               {inHTTP(number(9, 9), field(11, text("short"))), true},
	"both bodies":                          {inHTTP(field(11, text("text")), field(12, text("raw"))), true},
	"a long tag":                           {join([]byte{0x8a, 0x80, 0x80, 0x00}, field(4, field(2, field(2, text("GET"))))[1:]), true},
	"a peer's socket, then a pipe":         {field(1, field(1, field(1, join(field(1, join(field(2, text("192.0.2.1")), number(3, 5))), field(2, nil))))), true},
	"a pipe, then a socket":                {field(1, field(1, field(1, join(field(2, nil), field(1, field(2, text("192.0.2.1"))))))), true},
	"two sockets are merged":               {field(1, field(1, field(1, join(field(1, field(2, text("192.0.2.1"))), field(1, number(3, 5)))))), true},
	"a socket, a pipe, a socket":           {field(1, field(2, field(1, join(field(1, field(2, text("192.0.2.1"))), field(3, nil), field(1, number(3, 5)))))), true},
	"a port, then a named port":            {field(1, field(1, field(1, field(1, join(number(3, 5), field(4, text("http"))))))), true},
	"a port beyond 32 bits":                {field(1, field(1, field(1, field(1, number(3, 1<<32|5))))), true},
	"extensions":                           {field(1, join(field(10, join(field(1, text("a")), field(2, text("1")))), field(10, join(field(1, text("a")), field(2, text("2")))))), true},
	"metadata with text that is not UTF-8": {field(1, field(11, field(1, field(2, field(1, field(2, field(3, text("\xff")))))))), false},
	"metadata with a short double":         {field(1, field(11, field(1, field(2, field(1, field(2, []byte{0x11, 1, 2, 3})))))), false},
	"an Any with any bytes":                {field(1, field(13, field(2, field(2, field(2, text("\xff")))))), true},
}

func TestOddMessagesAreReadAsTheGeneratedCodeDoes(t *testing.T) {
	for name, c := range odd {
		t.Run(name, func(t *testing.T) {
			if got := same(t, c.message); got != c.accepted {
				t.Errorf("accepted: %t", got)
			}
		})
	}
}

// nested is metadata of a list in a list in a list, and in it a value.
func nested(levels int, value []byte) []byte {
	for range levels {
		value = field(6, field(1, value))
	}
	return field(1, field(11, field(1, field(2, field(1, field(2, value))))))
}

func TestDepthIsBoundedWhereTheGeneratedCodeBoundsIt(t *testing.T) {
	for _, value := range [][]byte{nil, field(5, number(1, 7)), field(5, field(1, nil)), field(5, field(1, field(2, nil)))} {
		last := true
		for levels := 4985; levels < 5005; levels++ {
			accepted := same(t, nested(levels, value))
			if accepted && !last {
				t.Fatal("a deeper one was accepted")
			}
			last = accepted
		}
		if last {
			t.Error("none was refused")
		}
	}
	group := func(levels int) []byte {
		return inHTTP(bytes.Repeat([]byte{0x9b, 0x06}, levels), bytes.Repeat([]byte{0x9c, 0x06}, levels))
	}
	for levels := 9998; levels < 10005; levels++ {
		same(t, group(levels))
	}
}

func TestManyHeadersAreReadAlike(t *testing.T) {
	var all []byte
	for i := range 500 {
		all = append(all, entry("x-"+string(rune('a'+i%26)), strings.Repeat("v", i%7))...)
	}
	same(t, inHTTP(all))
}

// TestAMessageOfEmptyEntriesIsRefused: it would take many times its size in memory.
func TestAMessageOfEmptyEntriesIsRefused(t *testing.T) {
	const most = 10_000
	for name, c := range map[string]struct {
		message []byte
		want    error
	}{
		"as many headers as are looked at": {inHTTP(bytes.Repeat(field(3, nil), most)), nil},
		"one more":                         {inHTTP(bytes.Repeat(field(3, nil), most+1)), wire.ErrTooMany},
		"one by one":                       {inHTTP(field(13, bytes.Repeat(field(1, nil), most+1))), wire.ErrTooMany},
		"extensions of the context":        {field(1, bytes.Repeat(field(10, nil), most+1)), wire.ErrTooMany},
		"pieces of metadata":               {field(1, bytes.Repeat(field(11, field(1, nil)), most+1)), wire.ErrTooMany},
		"of all together":                  {join(inHTTP(bytes.Repeat(field(3, nil), most)), inHTTP(field(3, nil))), wire.ErrTooMany},
	} {
		if _, err := wire.Parse(string(c.message), nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMessagesThatNoEncoderWrites makes messages at random: fields repeated,
// out of order, of wrong types, cut and changed.
func TestMessagesThatNoEncoderWrites(t *testing.T) {
	count := 60_000
	if os.Getenv("PATROL_SOAK") != "" {
		count = 3_000_000
	}
	accepted := 0
	for seed := range count {
		if same(t, random(rand.New(rand.NewPCG(uint64(seed), 1)))) {
			accepted++
		}
	}
	if accepted < count/4 || accepted > count*9/10 {
		t.Errorf("%d of %d were accepted: the generator shows too little", accepted, count)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range odd {
		f.Add(c.message)
	}
	for seed := range 200 {
		f.Add(random(rand.New(rand.NewPCG(uint64(seed), 2))))
	}
	f.Fuzz(func(t *testing.T, message []byte) { same(t, message) })
}
