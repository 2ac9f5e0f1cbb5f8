package wire

// span is a part of the message. The zero one is the empty text, which is what
// an absent field is.
type span struct{ from, to uint32 }

// header is an entry of one of the lists of names and values. raw, where it is
// not empty, stands for value.
type header struct {
	name, value, raw span
	list             list
}

type list uint8

const (
	headersList    list = iota // HttpRequest.headers, a map
	headerMapList              // HttpRequest.header_map, one by one
	extensionsList             // AttributeContext.context_extensions, a map
)

// peer is one end of the connection.
type peer struct {
	address, principal span
	port               uint32
	// socket: the address is a socket's, and no pipe's.
	socket bool
}

// open notes that a message begins within another.
func (r *Request) open(outer role, number int) {
	switch {
	case outer == requestRole && number == 2:
		r.http = true
	case outer == httpRole && number == 3:
		r.headers = append(r.headers, header{list: headersList})
	case outer == headerMapRole && number == 1:
		r.headers = append(r.headers, header{list: headerMapList})
	case outer == attributesRole && number == 10:
		r.headers = append(r.headers, header{list: extensionsList})
	case outer == sourceRole+1:
		r.source.choose(number == 1)
	case outer == destinationRole+1:
		r.destination.choose(number == 1)
	}
}

// choose notes which member of the oneof is set: another one than before
// replaces it, the same one is merged.
func (p *peer) choose(socket bool) {
	if p.socket != socket {
		p.address, p.port, p.socket = span{}, 0, socket
	}
}

// note keeps where a text or bytes are.
func (r *Request) note(in role, number int, at span) {
	switch in {
	case entryRole:
		h := &r.headers[len(r.headers)-1]
		switch number {
		case 1:
			h.name = at
		case 2:
			h.value = at
		case 3:
			h.raw = at
		}
	case httpRole:
		if number < len(r.fields) {
			r.fields[number] = at
		}
	case sourceRole, sourceRole + 2:
		r.source.note(in-sourceRole, number, at)
	case destinationRole, destinationRole + 2:
		r.destination.note(in-destinationRole, number, at)
	}
}

func (p *peer) note(part role, number int, at span) {
	switch {
	case part == 0 && number == 4:
		p.principal = at
	case part == 2 && number == 2:
		p.address = at
	case part == 2 && number == 4: // named_port, of a oneof with port_value
		p.port = 0
	}
}

// noteNumber keeps a number.
func (r *Request) noteNumber(in role, number int, v uint64) {
	switch {
	case in == httpRole && number == 9:
		r.size = int64(v) //nolint:gosec // Two's complement, as protobuf has it.
	case in == sourceRole+2 && number == 3:
		r.source.port = uint32(v) //nolint:gosec // Cut off, as the generated code does.
	case in == destinationRole+2 && number == 3:
		r.destination.port = uint32(v) //nolint:gosec // Cut off, as the generated code does.
	}
}
