package attest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/program"
)

// DefaultPluginTimeout is how long a plugin may take.
const DefaultPluginTimeout = 10 * time.Second

// maxPayload bounds a payload, in bytes.
const maxPayload = 64 << 10

// Question is what a plugin reads, as JSON.
type Question struct {
	TrustDomain string       `json:"trust_domain"`
	Node        fleet.NodeID `json:"node"`
	Nonce       string       `json:"nonce"`
	// CSRSHA256 is the hash of the certificate request's PEM, in lower-case hex.
	CSRSHA256 string `json:"csr_sha256"`
	// KeyFingerprint of the key that the credential would be for.
	KeyFingerprint string `json:"key_fingerprint"`
	Payload        string `json:"payload"`
}

// Plugin is the Verifier of node-plugin: a program.
type Plugin struct {
	// Command is the program and its arguments.
	Command []string
	// Timeout is how long it may take; 0 means DefaultPluginTimeout.
	Timeout time.Duration
}

// Verify wants the program to print exactly the node's id.
func (p Plugin) Verify(ctx context.Context, c Challenge, e Evidence) error {
	if len(p.Command) == 0 || p.Command[0] == "" {
		return refuse(ReasonUnconfigured, "no plugin is named")
	}
	if len(e.Payload) > maxPayload {
		return refuse(ReasonMalformed, fmt.Sprintf("the payload is %d bytes long, at most %d are allowed", len(e.Payload), maxPayload))
	}
	csr := sha256.Sum256([]byte(c.CSRPEM))
	question, err := json.Marshal(Question{
		TrustDomain: c.TrustDomain, Node: c.Node, Nonce: c.Nonce, CSRSHA256: hex.EncodeToString(csr[:]),
		KeyFingerprint: c.KeyFingerprint, Payload: e.Payload,
	})
	if err != nil {
		return fmt.Errorf("encode question for plugin: %w", err)
	}
	timeout := p.Timeout
	if timeout == 0 {
		timeout = DefaultPluginTimeout
	}
	answer, err := program.Ask(ctx, p.Command, append(question, '\n'), timeout, e.Payload)
	var late *program.TimeoutError
	switch {
	case errors.As(err, &late):
		return refuse(ReasonPluginTimeout, "plugin "+late.Error())
	case ctx.Err() != nil:
		return fmt.Errorf("ask plugin: %w", context.Cause(ctx))
	case err != nil:
		return refuse(ReasonPlugin, "plugin "+err.Error())
	}
	return checkAnswer(string(answer), c.Node)
}

// checkAnswer never quotes an answer that is no node id.
func checkAnswer(answer string, node fleet.NodeID) error {
	line, rest, _ := strings.Cut(answer, "\n")
	id, err := fleet.ParseNodeID(strings.TrimSuffix(line, "\r"))
	switch {
	case err != nil || rest != "":
		return refuse(ReasonPlugin, "the plugin did not print the id of a node and nothing else")
	case id != node:
		return refuse(ReasonName, fmt.Sprintf("the plugin has attested node %q, not %q", id, node))
	}
	return nil
}

// PayloadFile is the Prover of node-plugin: what the plugin is to judge lies in
// a file, such as a join token.
type PayloadFile struct{ Path string }

// Prove reads the file, without the white space around its content.
func (p PayloadFile) Prove(context.Context, Challenge) (Evidence, error) {
	text, err := os.ReadFile(p.Path)
	if err != nil {
		return Evidence{}, fmt.Errorf("read attestation payload: %w", err)
	}
	if len(text) > maxPayload {
		return Evidence{}, fmt.Errorf("read attestation payload: %s is larger than %d bytes", p.Path, maxPayload)
	}
	return Evidence{Payload: strings.TrimSpace(string(text))}, nil
}
