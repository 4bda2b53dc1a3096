package receiver

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Credential is what a sender signs with.
type Credential struct {
	Key crypto.Signer
	// ChainPEM is the leaf first, then its intermediates, without the root.
	ChainPEM []byte
	// ID is the SPIFFE ID that the leaf names.
	ID string
}

// Audience names the receiver at a URL: scheme and host, in lower case and without
// the port that the scheme has anyway. Paths make no other audience.
func Audience(u *url.URL) string {
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if port := u.Port(); scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return scheme + "://" + host
}

// Sign makes p a post of the credential's holder to audience. It sets the source,
// and the time to now unless there is one, and covers chain and audience. Nothing
// may be changed in p afterwards.
func Sign(p *Post, c *Credential, audience string, now time.Time) error {
	p.Source = c.ID
	if p.Time.IsZero() {
		p.Time = now
	}
	p.Time = p.Time.UTC().Truncate(time.Second) // all that a proof can cover
	if p.Extensions == nil {
		p.Extensions = make(map[string]string)
	}
	p.Extensions[ChainAttribute] = base64.RawURLEncoding.EncodeToString(c.ChainPEM)
	p.Extensions[AudienceAttribute] = audience
	var ext []identity.Extension
	for _, name := range []string{ChainAttribute, AudienceAttribute} {
		ext = append(ext, identity.Extension{Name: name, Value: p.extension(name)})
	}
	proof, err := identity.Sign(c.Key, p.core(), ext)
	if err != nil {
		return fmt.Errorf("sign post: %w", err)
	}
	p.Proof = proof
	return nil
}
