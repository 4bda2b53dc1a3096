package authority

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/fleetfold/fleetfold/internal/field"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// The folder: the first root lies in DIR itself, or in DIR/roots/NAME where the
// inventory's root_ca gives it a name; the first intermediate of a region in
// regions/REGION/NAME of its root's folder, NAME being intermediate_ca. A
// successor lies in a folder below, named by its key id. Names are encoded by
// events.FileName.
const (
	rootsFolder   = "roots"
	regionsFolder = "regions"
	// nextFolder is where a successor is made, before its key id is known.
	nextFolder = "next"
	certFile   = "ca.crt"
)

func (i *Issuers) rootBase(inv *fleet.Inventory) string {
	if inv.RootCA == "" {
		return i.Dir
	}
	return filepath.Join(i.Dir, rootsFolder, name(inv.RootCA))
}

func regionBase(rootDir string, region *fleet.Region) string {
	return filepath.Join(rootDir, regionsFolder, name(region.Name), name(region.IntermediateCA))
}

// name makes any text one name of a file: no text leaves its folder, and no two
// share one.
func name(text string) string { return events.FileName(fleet.NodeID(text)) }

// open finds the issuer that the log tells of, by its key. The turn is taken.
func (i *Issuers) open(issuer projection.Issuer) (opened, error) {
	if ca, ok := i.opened[issuer.Fingerprint]; ok {
		return ca, nil
	}
	c := identity.CAConfig{TrustDomain: issuer.TrustDomain, Region: issuer.Region}
	base, patterns := i.Dir, []string{".", "*", rootsFolder + "/*", rootsFolder + "/*/*"}
	if issuer.Region != "" {
		parent, err := i.openRoot(issuer.TrustDomain, issuer.Parent)
		if err != nil {
			return opened{}, err
		}
		c.Parent = parent.CA
		base, patterns = filepath.Join(parent.dir, regionsFolder, name(issuer.Region)), []string{"*", "*/*"}
	}
	if c.Parent == nil {
		c.Signer = i.signerOf(issuer.Fingerprint)
	}
	dir, err := i.find(issuer, base, patterns)
	if errors.Is(err, ErrNoKey) && c.Signer != nil {
		dir, err = i.restore(issuer)
	}
	if err != nil {
		return opened{}, err
	}
	c.Dir = dir
	ca, _, err := identity.OpenCA(c, i.Now())
	if err != nil {
		return opened{}, err
	}
	i.opened[issuer.Fingerprint] = opened{ca, dir}
	return i.opened[issuer.Fingerprint], nil
}

// find returns the folder with the issuer's certificate, at base or below it: a
// pattern is of what is below, for base may have any name. Where there is none, a
// certificate that cannot be read is the error, for it may be the one.
func (i *Issuers) find(issuer projection.Issuer, base string, patterns []string) (dir string, err error) {
	var damaged error
	for _, pattern := range patterns {
		dirs, err := fs.Glob(os.DirFS(base), pattern)
		if err != nil {
			return "", fmt.Errorf("search folder %s: %w", base, err)
		}
		for _, below := range dirs {
			dir := filepath.Join(base, below)
			fingerprint, err := fingerprintIn(dir)
			if fingerprint == issuer.Fingerprint {
				return dir, nil
			}
			if damaged == nil {
				damaged = err
			}
		}
	}
	if damaged != nil {
		return "", damaged
	}
	return "", fmt.Errorf("open issuer %s of trust domain %q%s in %s: %w: copy the folder of the executor that made it",
		issuer.Fingerprint, issuer.TrustDomain, inRegion(issuer.Region), i.Dir, ErrNoKey)
}

// restore writes the certificate of a root whose key is elsewhere into a folder that
// lacks it: the log has it, and OpenCA checks it.
func (i *Issuers) restore(root projection.Issuer) (dir string, err error) {
	if !readable(root.CertificatePEM) {
		return "", fmt.Errorf("open issuer %s: neither the folder nor the log has a certificate of it that can be read", root.Fingerprint)
	}
	dir = filepath.Join(i.Dir, identity.KeyIDOf(root.Fingerprint))
	if err := identity.OwnFolder(dir); err != nil {
		return "", fmt.Errorf("restore issuer's certificate: %w", err)
	}
	if err := identity.WriteFileAtomic(filepath.Join(dir, certFile), []byte(root.CertificatePEM), 0o644); err != nil {
		return "", fmt.Errorf("restore issuer's certificate: %w", err)
	}
	i.Logger.Info().Str(field.Path, dir).Str(field.Fingerprint, root.Fingerprint).Msg("issuer's certificate restored from the log")
	return dir, nil
}

func (i *Issuers) openRoot(domain, fingerprint string) (opened, error) {
	return i.open(projection.Issuer{TrustDomain: domain, Fingerprint: fingerprint})
}

func inRegion(region string) string {
	if region == "" {
		return ""
	}
	return fmt.Sprintf(", region %q", region)
}

// make opens the issuer in base, or makes it there if there is none. It returns
// its folder.
func (i *Issuers) make(base string, c identity.CAConfig) (*identity.CA, string, error) {
	c.Dir = base
	ca, created, err := identity.OpenCA(c, i.Now())
	if created {
		i.Logger.Info().Str(field.Path, base).Str(field.Fingerprint, ca.Fingerprint()).Str(field.Region, c.Region).Msg("issuer made")
	}
	return ca, base, err
}

// makeNext makes a successor in a folder of its own below base. One that was
// made and never published is left alone.
func (i *Issuers) makeNext(base string, c identity.CAConfig) (*identity.CA, error) {
	if _, err := os.Stat(filepath.Join(base, certFile)); errors.Is(err, fs.ErrNotExist) {
		ca, _, err := i.make(base, c)
		return ca, err
	}
	ca, next, err := i.make(filepath.Join(base, nextFolder), c)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(next, filepath.Join(base, identity.KeyIDOf(ca.Fingerprint()))); err != nil {
		return nil, fmt.Errorf("give issuer its folder: %w", err)
	}
	return ca, nil
}

// fingerprintIn is that of the certificate in a folder; empty if there is none.
func fingerprintIn(dir string) (string, error) {
	path := filepath.Join(dir, certFile)
	text, err := readCertificate(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return "", nil
	}
	if err != nil {
		return "", &identity.FileError{Path: path, Reason: identity.FileDamaged, Err: fmt.Errorf("read issuer's certificate: %w", err)}
	}
	cert, err := parse(text)
	if err != nil {
		err = fmt.Errorf("read issuer's certificate %s: %w: restore it from a backup", path, err)
		return "", &identity.FileError{Path: path, Reason: identity.FileDamaged, Err: err}
	}
	return identity.Fingerprint(cert.PublicKey)
}

// readCertificate reads no more of a file than a certificate can have.
func readCertificate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}

func parse(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// readable says that a certificate of the log can be read: one that cannot must
// not keep anybody from the others.
func readable(text string) bool {
	_, err := parse([]byte(text))
	return err == nil
}

// renewed says that the issuer has another certificate than the log tells of,
// and one that lasts longer. An older copy of the folder must not undo it.
func renewed(ca *identity.CA, published string) bool {
	if bytes.Equal(ca.CertificatePEM(), []byte(published)) {
		return false
	}
	cert, err := parse([]byte(published))
	return err != nil || ca.NotAfter().After(cert.NotAfter)
}

// signerOf is the external signer with that key; nil: the key is in a file.
func (i *Issuers) signerOf(fingerprint string) crypto.Signer {
	for _, s := range i.Signers {
		if f, err := identity.Fingerprint(s.Public()); err == nil && f == fingerprint {
			return s
		}
	}
	return nil
}

// unused is the first external signer whose key no issuer in the list has.
func (i *Issuers) unused(known []projection.Issuer) crypto.Signer {
	for _, s := range i.Signers {
		f, err := identity.Fingerprint(s.Public())
		if err != nil {
			continue
		}
		taken := false
		for _, have := range known {
			taken = taken || have.Fingerprint == f
		}
		if !taken {
			return s
		}
	}
	return nil
}
