package inventory

import (
	"bytes"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Most nodes are written in one of few ways. Those are read here, ten times as
// fast as the YAML library does it; whatever is written in another way, or is not
// valid, is left to the library. So nothing here ever finds a problem.

// plainNode reads an item whose hyphen stands at that column. It is false for one
// that it does not understand, of which nothing is noted then.
func (w *walk) plainNode(item []byte, line, indent int) (n fleet.Node, ok bool) {
	p := plain{text: item, at: indent + 1, line: line, walk: w}
	p.spaces()
	if p.peek() == '{' {
		ok = p.flow()
	} else {
		ok = p.at > indent+1 && p.block(p.at)
	}
	if !ok || p.found&(foundID|foundAttestor|foundTTL|foundBefore) != foundID|foundAttestor|foundTTL|foundBefore {
		return n, false
	}
	if n = p.node; n.RenewBefore >= n.CredTTL || n.CredTTL <= skewMargin {
		return n, false
	}
	id, err := fleet.ParseNodeID(string(p.id))
	if _, twice := w.firstID[id]; err != nil || twice {
		return n, false
	}
	n.ID = id
	w.firstID[id] = w.spot(p.idLine)
	return n, true
}

const (
	foundID = 1 << iota
	foundAttestor
	foundTTL
	foundBefore
	foundRoles
)

// plain reads one item.
type plain struct {
	text  []byte
	at    int
	line  int
	walk  *walk
	found int
	node  fleet.Node
	id    []byte
	// idLine is where the id stands.
	idLine int
}

// peek is the next sign; 0 at the end.
func (p *plain) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *plain) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.at++
	return true
}

// spaces says whether there were any.
func (p *plain) spaces() bool {
	from := p.at
	for p.peek() == ' ' {
		p.at++
	}
	return p.at > from
}

// flow reads {key: value, key: value} on one line, with nothing behind it.
func (p *plain) flow() bool {
	p.at++
	for {
		p.spaces()
		key, ok := p.key()
		if !ok || !p.spaces() || !p.value(key) {
			return false
		}
		p.spaces()
		if p.take('}') {
			return p.ends() && p.onlyBlank()
		}
		if !p.take(',') {
			return false
		}
	}
}

// block reads a line "key: value" for each key, all at one column.
func (p *plain) block(column int) bool {
	for {
		key, ok := p.key()
		if !ok {
			return false
		}
		spaced := p.spaces()
		switch {
		case key == foundRoles && (p.peek() == '\n' || p.peek() == '#' && spaced):
			if !p.once(foundRoles) || !p.ends() || !p.roleLines(column) {
				return false
			}
		case !spaced || !p.value(key) || !p.ends():
			return false
		}
		indent, more := p.nextLine()
		if !more {
			return true
		}
		if indent != column {
			return false
		}
	}
}

// ends reads the rest of a line: blanks, and a comment behind them.
func (p *plain) ends() bool {
	spaced := p.spaces() || p.text[p.at-1] == ' '
	if p.peek() == '#' && spaced {
		p.skipLine()
	}
	return p.at == len(p.text) || p.peek() == '\n'
}

// nextLine goes to the first sign of the next line that has one, and says at which
// column that is; false at the end.
func (p *plain) nextLine() (indent int, more bool) {
	for p.take('\n') {
		p.line++
		from := p.at
		p.spaces()
		switch p.peek() {
		case 0:
			return 0, false
		case '\n':
		case '#':
			p.skipLine()
		default:
			return p.at - from, true
		}
	}
	return 0, p.at < len(p.text)
}

func (p *plain) skipLine() {
	if end := bytes.IndexByte(p.text[p.at:], '\n'); end >= 0 {
		p.at += end
		return
	}
	p.at = len(p.text)
}

func (p *plain) onlyBlank() bool {
	_, more := p.nextLine()
	return !more
}

// key reads a known key and its colon.
func (p *plain) key() (key int, ok bool) {
	end := bytes.IndexByte(p.text[p.at:], ':')
	if end < 0 {
		return 0, false
	}
	switch string(p.text[p.at : p.at+end]) {
	case "id":
		key = foundID
	case "attestor":
		key = foundAttestor
	case "cred_ttl":
		key = foundTTL
	case "renew_before":
		key = foundBefore
	case "roles":
		key = foundRoles
	}
	p.at += end + 1
	return key, key != 0
}

func (p *plain) once(key int) bool {
	before := p.found
	p.found |= key
	return before&key == 0
}

func (p *plain) value(key int) bool {
	if !p.once(key) {
		return false
	}
	if key == foundRoles {
		return p.roleList()
	}
	text, ok := p.scalar()
	if !ok {
		return false
	}
	switch key {
	case foundID:
		p.id, p.idLine = text, p.line
	case foundAttestor:
		return p.attestor(string(text))
	case foundTTL:
		p.node.CredTTL, ok = p.walk.knownDuration(text)
	case foundBefore:
		p.node.RenewBefore, ok = p.walk.knownDuration(text)
	}
	return ok
}

func (p *plain) attestor(text string) bool {
	switch text {
	case string(fleet.AttestorMTLSCert):
		p.node.Attestor = fleet.AttestorMTLSCert
	case string(fleet.AttestorNodePlugin):
		p.node.Attestor = fleet.AttestorNodePlugin
	default:
		return false
	}
	return true
}

// roleList reads [role, role].
func (p *plain) roleList() bool {
	if !p.take('[') {
		return false
	}
	for {
		p.spaces()
		if p.take(']') {
			return true
		}
		if !p.role() {
			return false
		}
		p.spaces()
		if p.peek() != ']' && !p.take(',') {
			return false
		}
	}
}

// roleLines reads a line "- role" for each, all at one column, which is at least
// that of the key. It ends behind the last.
func (p *plain) roleLines(key int) bool {
	for column := -1; ; {
		before := *p
		indent, more := p.nextLine()
		if !more || indent == key && p.peek() != '-' || indent < key {
			*p = before
			return column >= 0
		}
		if column < 0 {
			column = indent
		}
		if indent != column || !p.take('-') || !p.spaces() || !p.role() || !p.ends() {
			return false
		}
	}
}

func (p *plain) role() bool {
	text, ok := p.scalar()
	if ok {
		p.node.Roles = append(p.node.Roles, p.walk.shared(text))
	}
	return ok
}
