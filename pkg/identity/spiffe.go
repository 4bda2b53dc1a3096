package identity

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// escapeMarker is the first path segment of a SPIFFE ID whose node id is not
// itself a legal SPIFFE path.
const escapeMarker = "_enc"

// maxTrustDomainBytes is the longest trust domain that the SPIFFE standard allows.
const maxTrustDomainBytes = 255

// SPIFFEID returns the one SPIFFE ID of a node.
//
// It is spiffe://<trust domain>/<id> where id is a legal SPIFFE path whose
// first segment is not "_enc". Any other id (with ":" or "@", an empty or a
// single-dot segment) is spiffe://<trust domain>/_enc/<escaped>, where each
// byte outside [a-zA-Z0-9-] stands as "_" and two upper-case hex digits.
func SPIFFEID(trustDomain string, id fleet.NodeID) (string, error) {
	td, err := parseTrustDomain(trustDomain)
	if err != nil {
		return "", err
	}
	if _, err := fleet.ParseNodeID(string(id)); err != nil {
		return "", fmt.Errorf("name node in SPIFFE: %w", err)
	}
	path := "/" + string(id)
	if !isPlainPath(path) {
		path = "/" + escapeMarker + "/" + escape(string(id))
	}
	sid, err := spiffeid.FromPath(td, path)
	if err != nil {
		return "", fmt.Errorf("name node %q in SPIFFE: %w", id, err)
	}
	return sid.String(), nil
}

// NodeIDOf is the reverse of SPIFFEID. It accepts only what SPIFFEID returns
// for some node of the trust domain: another spelling of the same node is
// refused.
func NodeIDOf(trustDomain, spiffeID string) (fleet.NodeID, error) {
	td, err := parseTrustDomain(trustDomain)
	if err != nil {
		return "", err
	}
	path, ok := strings.CutPrefix(spiffeID, "spiffe://"+td.Name()+"/")
	if !ok {
		return "", fmt.Errorf("read SPIFFE ID %q: it is not of a node in trust domain %q", spiffeID, trustDomain)
	}
	raw := path
	if escaped, ok := strings.CutPrefix(path, escapeMarker+"/"); ok {
		if raw, err = unescape(escaped); err != nil {
			return "", fmt.Errorf("read SPIFFE ID %q: %w", spiffeID, err)
		}
	}
	id, err := fleet.ParseNodeID(raw)
	if err != nil {
		return "", fmt.Errorf("read SPIFFE ID %q: %w", spiffeID, err)
	}
	if again, err := SPIFFEID(trustDomain, id); err != nil || again != spiffeID {
		return "", fmt.Errorf("read SPIFFE ID %q: not the canonical spelling for node %q", spiffeID, id)
	}
	return id, nil
}

// parseTrustDomain takes a bare name. Besides the SPIFFE rule it refuses empty
// labels, because X.509 libraries do not read a URI with such a host.
func parseTrustDomain(name string) (spiffeid.TrustDomain, error) {
	td, err := spiffeid.TrustDomainFromString(name)
	switch {
	case err != nil:
	case td.Name() != name:
		err = errors.New("give the bare name, without spiffe://")
	case len(name) > maxTrustDomainBytes:
		err = fmt.Errorf("it is %d bytes long, at most %d are allowed", len(name), maxTrustDomainBytes)
	case strings.Contains("."+name+".", ".."):
		err = errors.New("it has an empty label (a dot at its start or end, or two in a row)")
	}
	if err != nil {
		return spiffeid.TrustDomain{}, fmt.Errorf("read trust domain %q: %w", name, err)
	}
	return td, nil
}

func isPlainPath(path string) bool {
	if path == "/"+escapeMarker || strings.HasPrefix(path, "/"+escapeMarker+"/") {
		return false
	}
	for i := range len(path) {
		if c := path[i]; !isAlnum(c) && strings.IndexByte("._-/", c) < 0 {
			return false
		}
	}
	return spiffeid.ValidatePath(path) == nil
}

func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isAlnum(c) || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02X", c)
		}
	}
	return b.String()
}

// unescape is lenient about needless escapes; NodeIDOf compares with the
// canonical spelling afterwards.
func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '_' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New("an escape is cut off")
		}
		hi, lo := strings.IndexByte(upperHex, s[i+1]), strings.IndexByte(upperHex, s[i+2])
		if hi < 0 || lo < 0 {
			return "", fmt.Errorf("%q is no escape", s[i:i+3])
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), nil
}

const upperHex = "0123456789ABCDEF"

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
