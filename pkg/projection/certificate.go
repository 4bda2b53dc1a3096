package projection

import "strings"

const pemEnd = "-----END CERTIFICATE-----\n"

// cut takes a certificate as PEM apart from the chain that it came with: that is
// the same for all of a region, and kept once, under a number. near is a number
// that it may have.
func (n *names) cut(pem string, near uint32) (leaf string, chain uint32) {
	leaf, behind, found := strings.Cut(pem, pemEnd)
	if !found || behind == "" {
		return pem, 0
	}
	if chain = n.number(behind, near); chain == 0 {
		return pem, 0 // no room
	}
	return strings.Clone(pem[:len(leaf)+len(pemEnd)]), chain // without what stood behind it
}

func (n *names) pem(of *credential) string {
	if of.chain == 0 {
		return of.leaf
	}
	return of.leaf + n.of(of.chain)
}

// sameText says that two certificates are the same, however they lie.
func (n *names) sameText(a, b *credential) bool {
	if a.chain == b.chain {
		return a.leaf == b.leaf
	}
	return n.pem(a) == n.pem(b)
}

// hasText says that the certificate is that one.
func (n *names) hasText(of *credential, pem string) bool {
	leaf, found := strings.CutSuffix(pem, n.of(of.chain))
	return found && leaf == of.leaf
}
