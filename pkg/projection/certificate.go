package projection

import "strings"

// certificateText is a certificate as PEM, and behind it the chain that it came
// with: that is the same for all of a region, and kept once.
type certificateText struct{ leaf, chain string }

const pemEnd = "-----END CERTIFICATE-----\n"

// textOf takes a text apart; nil for an empty one.
func (c *cells) textOf(pem string) *certificateText {
	if pem == "" {
		return nil
	}
	leaf, chain, found := strings.Cut(pem, pemEnd)
	if !found || chain == "" {
		return &certificateText{leaf: pem}
	}
	leaf = strings.Clone(pem[:len(leaf)+len(pemEnd)]) // without what stood behind it
	return &certificateText{leaf: leaf, chain: c.names.shared(chain)}
}

// same says that two texts are the same, however they lie.
func (t *certificateText) same(other *certificateText) bool {
	return t == other || t.String() == other.String()
}

func (t *certificateText) String() string {
	switch {
	case t == nil:
		return ""
	case t.chain == "":
		return t.leaf
	}
	return t.leaf + t.chain
}

// is says that the text is that one.
func (t *certificateText) is(pem string) bool {
	if t == nil {
		return pem == ""
	}
	leaf, found := strings.CutSuffix(pem, t.chain)
	return found && leaf == t.leaf
}
