package snapshot

import (
	"slices"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

type wireTrust struct {
	_                          struct{} `cbor:",toarray"`
	Strict                     bool
	PostureSequence, PostureOf uint64
	PostureSince, At           wireTime
	Issuers                    []wireIssuer
	Bundles                    []wireBundle
	Rotations                  []wireIssuerStep
	Revoked                    []wireRevoked
	LastBundle, LastRevoked    uint64
	RevokedDropped             int
}

type wireIssuer struct {
	_                                   struct{} `cbor:",toarray"`
	Domain, Region, Fingerprint, Parent string
	Serial                              string
	NotAfter                            wireTime
	CertificatePEM                      string
	Active                              bool
	Published                           uint64
}

type wireBundle struct {
	_      struct{} `cbor:",toarray"`
	Digest string
	Roots  []string
}

type wireIssuerStep struct {
	_                                                   struct{} `cbor:",toarray"`
	Step, Domain, Region, Actor, Note, Held, HeldDetail string
	Sequence                                            uint64
	At                                                  wireTime
}

type wireRevoked struct {
	_              struct{} `cbor:",toarray"`
	Serial, Issuer string
	At, NotAfter   wireTime
}

func toTrust(img *projection.Image) wireTrust {
	w := wireTrust{
		Strict: img.Posture.Strict, PostureSequence: img.Posture.Sequence, PostureOf: img.Posture.Generation, PostureSince: toTime(img.Posture.Since),
		At: toTime(img.At), LastBundle: img.LastBundle, LastRevoked: img.LastRevoked, RevokedDropped: img.RevokedDropped,
	}
	for _, i := range img.Issuers {
		w.Issuers = append(w.Issuers, wireIssuer{
			Domain: i.TrustDomain, Region: i.Region, Fingerprint: i.Fingerprint, Parent: i.Parent, Serial: i.Serial, NotAfter: toTime(i.NotAfter),
			CertificatePEM: i.CertificatePEM, Active: i.Active, Published: i.Published,
		})
	}
	for _, b := range img.Bundles {
		w.Bundles = append(w.Bundles, wireBundle{Digest: b.Digest, Roots: b.Roots})
	}
	for _, r := range img.IssuerSteps {
		w.Rotations = append(w.Rotations, wireIssuerStep{
			Step: string(r.Step), Domain: r.TrustDomain, Region: r.Region, Actor: r.Actor, Note: r.Note,
			Held: string(r.Held), HeldDetail: r.HeldDetail, Sequence: r.Sequence, At: toTime(r.At),
		})
	}
	for _, r := range img.Revoked {
		w.Revoked = append(w.Revoked, wireRevoked{Serial: r.Serial, Issuer: r.Issuer, At: toTime(r.At), NotAfter: toTime(r.NotAfter)})
	}
	return w
}

func (w *wireTrust) into(img *projection.Image) {
	img.Posture = projection.Posture{Strict: w.Strict, Sequence: w.PostureSequence, Generation: w.PostureOf, Since: w.PostureSince.time()}
	img.At, img.LastBundle, img.LastRevoked, img.RevokedDropped = w.At.time(), w.LastBundle, w.LastRevoked, w.RevokedDropped
	for _, i := range w.Issuers {
		img.Issuers = append(img.Issuers, projection.Issuer{
			TrustDomain: i.Domain, Region: i.Region, Fingerprint: i.Fingerprint, Parent: i.Parent, Serial: i.Serial, NotAfter: i.NotAfter.time(),
			CertificatePEM: i.CertificatePEM, Active: i.Active, Published: i.Published,
		})
	}
	for _, b := range w.Bundles {
		img.Bundles = append(img.Bundles, projection.BundleImage{Digest: b.Digest, Roots: slices.Clone(b.Roots)})
	}
	for _, r := range w.Rotations {
		img.IssuerSteps = append(img.IssuerSteps, projection.IssuerStep{
			Step: events.RotationStep(r.Step), TrustDomain: r.Domain, Region: r.Region, Actor: r.Actor, Note: r.Note,
			Held: fleet.Reason(r.Held), HeldDetail: r.HeldDetail, Sequence: r.Sequence, At: r.At.time(),
		})
	}
	for _, r := range w.Revoked {
		img.Revoked = append(img.Revoked, projection.Revoked{Serial: r.Serial, Issuer: r.Issuer, At: r.At.time(), NotAfter: r.NotAfter.time()})
	}
}
