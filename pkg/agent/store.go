package agent

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// Files of an agent's folder.
const (
	KeyFile = "key.pem"
	// CredentialFile holds the credential as it was delivered; what it says counts.
	CredentialFile = "credential.json"
	// PendingFile holds a renewed credential until it is confirmed.
	PendingFile = "credential.next.json"
	// CertificateFile repeats the certificate for other programs.
	CertificateFile = "credential.pem"
	lockFile        = "agent.lock"
)

// DirError is about a file of the agent's folder that a person must look at.
type DirError struct {
	Path string
	Err  error
	// Remedy is one sentence that says what to do.
	Remedy string
}

func (e *DirError) Error() string { return e.Path + ": " + e.Err.Error() }
func (e *DirError) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *DirError) Hint() string { return e.Remedy }

// store is the agent's folder.
type store struct{ dir string }

func (s store) path(name string) string { return filepath.Join(s.dir, name) }

func (s store) loadKey() (key *ecdsa.PrivateKey, created bool, err error) {
	key, created, err = identity.LoadOrCreateKey(s.path(KeyFile))
	if err != nil {
		return nil, false, &DirError{
			Path: s.path(KeyFile), Err: err,
			Remedy: "repair the file and its permissions (0600), or move it away: a new key is made then, and a new credential issued",
		}
	}
	return key, created, nil
}

// loadCredential returns the credential on disk. One that no longer counts is
// (nil, why, nil); a file that is damaged, or is another node's, is an error.
func (s store) loadCredential(id fleet.NodeID, own string, now time.Time) (c *events.CredentialDelivered, gone, err error) {
	path := s.path(CredentialFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read credential: %w", err)
	}
	c = new(events.CredentialDelivered)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, nil, damaged(path, fmt.Errorf("no credential: %w", err))
	}
	err = checkCredential(c, id, own, now)
	switch {
	case err == nil:
		return c, nil, s.writeCertificate(c)
	case lapsed(err):
		return nil, err, nil
	case fleet.ReasonOf(err) == identity.SPIFFEIDMismatch:
		return nil, nil, &DirError{Path: path, Err: fileError(path, identity.FileMismatch, err), Remedy: "the folder is another node's: give each node its own with --dir"}
	}
	return nil, nil, damaged(path, err)
}

func damaged(path string, err error) error {
	return &DirError{Path: path, Err: fileError(path, identity.FileDamaged, err), Remedy: "move the file away and start again: a new credential is issued then"}
}

// lapsed says that a credential is whole and counts no more, as happens to each.
func lapsed(err error) bool {
	switch fleet.ReasonOf(err) {
	case identity.CertificateExpired, identity.CertificateNotYetValid, reasonOtherKey:
		return true
	}
	return false
}

func fileError(path string, reason fleet.Reason, err error) error {
	return &identity.FileError{Path: path, Reason: reason, Err: err}
}

// keep writes the credential. Whoever reads sees the old one or the new one.
func (s store) keep(c *events.CredentialDelivered) error {
	if err := s.write(CredentialFile, c); err != nil {
		return err
	}
	return s.writeCertificate(c)
}

// keepPending writes a credential that is not in use yet.
func (s store) keepPending(c *events.CredentialDelivered) error { return s.write(PendingFile, c) }

func (s store) write(name string, c *events.CredentialDelivered) error {
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("encode credential: %w", err)
	}
	if err := identity.WriteFileAtomic(s.path(name), append(raw, '\n'), 0o600); err != nil {
		return fmt.Errorf("write credential: %w", err)
	}
	return nil
}

// loadPending returns the pending credential; nil if there is none, and an
// error if there is one that cannot be used.
func (s store) loadPending(id fleet.NodeID, own string, now time.Time) (*events.CredentialDelivered, error) {
	raw, err := os.ReadFile(s.path(PendingFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read pending credential: %w", err)
	}
	c := new(events.CredentialDelivered)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, fmt.Errorf("decode pending credential: %w", err)
	}
	if err := checkCredential(c, id, own, now); err != nil {
		return nil, fmt.Errorf("check pending credential: %w", err)
	}
	return c, nil
}

func (s store) removePending() error {
	if err := os.Remove(s.path(PendingFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pending credential: %w", err)
	}
	return nil
}

// writeCertificate brings the copy in line, also after a stop between the two files.
func (s store) writeCertificate(c *events.CredentialDelivered) error {
	path := s.path(CertificateFile)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, []byte(c.CertificatePEM)) {
		return nil
	}
	if err := identity.WriteFileAtomic(path, []byte(c.CertificatePEM), 0o644); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	return nil
}

// forget removes key and credential. The key goes last: without it the
// credential would be useless anyway.
func (s store) forget() error {
	var problems []error
	for _, name := range []string{BundlePEMFile, BundleFile, PendingFile, CertificateFile, CredentialFile, KeyFile} {
		if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("remove credential: %w", err))
		}
	}
	return errors.Join(problems...)
}

const (
	reasonOtherKey    fleet.Reason = "other_key"
	reasonOtherSerial fleet.Reason = "other_serial"
)

// checkCredential says why c is not this node's credential for its own key.
func checkCredential(c *events.CredentialDelivered, id fleet.NodeID, own string, now time.Time) error {
	roots := splitPEM([]byte(c.BundlePEM))
	cert, err := identity.Verification{Roots: roots, TrustDomain: c.TrustDomain, Node: id, Region: c.Region, Now: now}.Leaf([]byte(c.CertificatePEM))
	if err != nil {
		return err
	}
	fingerprint, err := identity.Fingerprint(cert.PublicKey)
	if err != nil {
		return fmt.Errorf("read key of certificate: %w", err)
	}
	if fingerprint != own {
		return &identity.Refusal{Reason: reasonOtherKey, Detail: "the certificate is for key " + fingerprint + ", this node's is " + own}
	}
	if serial := identity.SerialOf(cert); serial != c.Serial {
		return &identity.Refusal{Reason: reasonOtherSerial, Detail: fmt.Sprintf("the certificate has serial %s, the delivery says %q", serial, c.Serial)}
	}
	return nil
}

// splitPEM returns each block of a bundle on its own.
func splitPEM(bundle []byte) [][]byte {
	var blocks [][]byte
	for {
		block, rest := pem.Decode(bundle)
		if block == nil {
			return blocks
		}
		blocks = append(blocks, pem.EncodeToMemory(block))
		bundle = rest
	}
}
