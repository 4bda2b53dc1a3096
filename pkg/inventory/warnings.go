package inventory

import "time"

// Warnings speak of files that are legal but probably not what was meant. They
// are given along with errors wherever they can still be known.

func (w *walk) warnTrustDomain(v value, domain string) {
	if !isSPIFFE(domain) {
		w.warning(TagTrustDomainNotSPIFFE, v,
			"%s is not a legal spiffe trust domain: at most 255 of lower-case letters, digits, '.', '-' and '_'", quote(domain))
	}
}

// isSPIFFE applies the trust domain rule of the SPIFFE id specification.
func isSPIFFE(domain string) bool {
	for i := range len(domain) {
		c := domain[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return domain != "" && len(domain) <= 255
}

func (w *walk) warnRegionName(v value, name string) {
	if line, twice := w.firstName[name]; twice {
		w.warning(TagDuplicateRegionName, v, "region name %s is used twice, first on line %d", quote(name), line)
		return
	}
	w.firstName[name] = v.line
}

// skewMargin is pkg/identity's SkewMargin, whose tests hold the two together.
const skewMargin = 30 * time.Second

func (w *walk) warnCredTTL(v value, ttl time.Duration) {
	if ttl <= skewMargin {
		w.warning(TagCredTTLTooShort, v, "cred_ttl is %s, but a credential counts until %s before its end only: none will be issued", ttl, skewMargin)
	}
}

// warnCounts needs to know how many nodes are desired; when a list could not be
// read it keeps silent rather than guess.
func (w *walk) warnCounts(regions, widthAt value, width int) {
	if !w.countKnown {
		return
	}
	if w.nodes == 0 {
		w.warning(TagNoNodes, regions, "no nodes are desired: every observed node will be decommissioned")
	}
	if width > w.nodes {
		w.warning(TagQuorumWidthAboveNodes, widthAt, "quorum.width is %d, above the number of nodes, %d", width, w.nodes)
	}
}

func (w *walk) warnPermissive(at value) {
	w.warning(TagEnforcementMissing, at, "%s is left out: this means require_sig: false and relaxes a strict fleet", at.path)
}
