package projection

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

func (t *trust) bundleImages() []BundleImage {
	var list []BundleImage
	for _, b := range t.bundles {
		list = append(list, BundleImage{Digest: b.digest, Roots: slices.Clone(b.roots)})
	}
	return list
}

// sorted is a heap, too, since the first to end stands first.
func (v *revocations) sorted() []Revoked {
	if len(v.byEnd) == 0 {
		return nil
	}
	all := slices.Clone(v.byEnd)
	slices.SortFunc(all, func(a, b Revoked) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.Serial, b.Serial), cmp.Compare(a.Issuer, b.Issuer), a.At.Compare(b.At))
	})
	return all
}

func (s *State) restoreTrust(img *Image) error {
	t := &s.trust
	for n := range img.Issuers {
		i := img.Issuers[n]
		if i.Published > img.Sequence || i.Published == 0 || n > 0 && img.Issuers[n-1].Published > i.Published {
			return fmt.Errorf("issuer %s is out of order at %d", i.Fingerprint, i.Published)
		}
		if (i.Parent == "") != (i.Region == "") || i.Parent != "" && !s.KnowsIssuer(i.Parent) {
			return fmt.Errorf("issuer %s of region %q has the root %q", i.Fingerprint, i.Region, i.Parent)
		}
		if _, exists := t.active(i.TrustDomain, i.Region, i.Parent); exists && i.Active {
			return fmt.Errorf("issuer %s is active beside another", i.Fingerprint)
		}
		t.issuers = append(t.issuers, &i)
		if i.Region == "" {
			t.roots = append(t.roots, []byte(i.CertificatePEM))
		}
	}
	for _, b := range img.Bundles {
		t.bundles = append(t.bundles, bundle{digest: b.Digest, roots: slices.Clone(b.Roots)})
	}
	t.changed, t.rotations = img.LastBundle, slices.Clone(img.IssuerSteps)
	s.posture, s.at = img.Posture, img.At
	s.revoked = revocations{byEnd: slices.Clone(img.Revoked), last: img.LastRevoked, dropped: img.RevokedDropped}
	return t.plausible(s, img)
}

func (t *trust) plausible(s *State, img *Image) error {
	for i, r := range img.IssuerSteps {
		if r.Sequence > img.Sequence || i > 0 && img.IssuerSteps[i-1].Sequence >= r.Sequence {
			return fmt.Errorf("request of %s is out of order at %d", r.Step, r.Sequence)
		}
	}
	switch {
	case len(t.bundles) > maxBundles || len(img.Revoked) > MaxRevoked || img.RevokedDropped < 0:
		return errors.New("more bundles or revoked certificates than can be kept")
	case max(img.LastBundle, img.LastRevoked, img.Posture.Sequence) > img.Sequence:
		return fmt.Errorf("bundle, revocations or posture changed after the log's %d", img.Sequence)
	case img.Posture.Strict != img.StrictEnforced:
		return errors.New("the posture is not the one that is enforced")
	case !slices.Equal(s.revoked.sorted(), img.Revoked):
		return errors.New("revoked certificates are out of order")
	}
	return nil
}
