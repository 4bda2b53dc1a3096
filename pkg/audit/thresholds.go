package audit

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/fleetfold/fleetfold/pkg/decide"
)

// Thresholds stand in place of those of engine.Safeguards and engine.Policy, and
// have their names, units and ranges. Nil leaves what there was.
type Thresholds struct {
	RemovalMin      *int           `yaml:"removal_min"`
	RemovalFraction *float64       `yaml:"removal_fraction"`
	BlindFraction   *float64       `yaml:"blind_fraction"`
	BlindMin        *int           `yaml:"blind_min"`
	LostWait        *time.Duration `yaml:"lost_wait"`
	FlapThreshold   *float64       `yaml:"flap_threshold"`
	FlapHalfLife    *time.Duration `yaml:"flap_half_life"`

	MaxInFlight *int           `yaml:"max_in_flight"`
	BackoffBase *time.Duration `yaml:"backoff_base"`
	BackoffCap  *time.Duration `yaml:"backoff_cap"`
	Jitter      *float64       `yaml:"jitter"`
	StuckAfter  *int           `yaml:"stuck_after"`
}

// ParseThresholds reads a YAML map of thresholds. It is strict: a name that there
// is not, and one that stands twice, is an error with its line.
func ParseThresholds(text []byte) (Thresholds, error) {
	var t Thresholds
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&t); err != nil {
		if errors.Is(err, io.EOF) {
			return Thresholds{}, fmt.Errorf("read thresholds: there are none; name one or more of %s", strings.Join(thresholdNames(), ", "))
		}
		return Thresholds{}, fmt.Errorf("read thresholds: %w (there are %s)", readable(err), strings.Join(thresholdNames(), ", "))
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return Thresholds{}, errors.New("read thresholds: more than one document")
	}
	if err := wholeNumbers(text); err != nil {
		return Thresholds{}, err
	}
	if t == (Thresholds{}) {
		return Thresholds{}, fmt.Errorf("read thresholds: there are none; name one or more of %s", strings.Join(thresholdNames(), ", "))
	}
	return t, nil
}

// wholeNumbers refuses 1.5 where a count is asked for, of which yaml would take 1.
func wholeNumbers(text []byte) error {
	var counts map[string]yaml.Node
	if err := yaml.Unmarshal(text, &counts); err != nil {
		return fmt.Errorf("read thresholds: %w", readable(err))
	}
	t := reflect.TypeFor[Thresholds]()
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("yaml")
		n, there := counts[name]
		if there && t.Field(i).Type == reflect.TypeFor[*int]() && n.ShortTag() != "!!int" {
			return fmt.Errorf("read thresholds: line %d: %s is %s, must be a whole number", n.Line, name, n.Value)
		}
	}
	return nil
}

// readable puts what yaml says on one line, without the names of Go types.
func readable(err error) error {
	var many *yaml.TypeError
	if !errors.As(err, &many) {
		return err
	}
	lines := make([]string, len(many.Errors))
	for i, line := range many.Errors {
		lines[i] = strings.TrimSuffix(line, " in type audit.Thresholds")
	}
	return errors.New(strings.Join(lines, "; "))
}

func thresholdNames() (names []string) {
	t := reflect.TypeFor[Thresholds]()
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("yaml"))
	}
	return names
}

// Over is what is given with these thresholds in place of its own. Where they do
// not go together the error is an ErrThresholds.
func (t Thresholds) Over(g decide.Given) (decide.Given, error) {
	put(&g.Safeguards.RemovalMin, t.RemovalMin)
	put(&g.Safeguards.RemovalFraction, t.RemovalFraction)
	put(&g.Safeguards.BlindFraction, t.BlindFraction)
	put(&g.Safeguards.BlindMin, t.BlindMin)
	put(&g.Safeguards.LostWait, t.LostWait)
	put(&g.Safeguards.FlapThreshold, t.FlapThreshold)
	put(&g.Safeguards.FlapHalfLife, t.FlapHalfLife)
	put(&g.Policy.MaxInFlight, t.MaxInFlight)
	put(&g.Policy.BackoffBase, t.BackoffBase)
	put(&g.Policy.BackoffCap, t.BackoffCap)
	put(&g.Policy.Jitter, t.Jitter)
	put(&g.Policy.StuckAfter, t.StuckAfter)
	if err := errors.Join(g.Safeguards.Validate(), g.Policy.Validate()); err != nil {
		return g, fmt.Errorf("%w: %w", ErrThresholds, err)
	}
	return g, nil
}

func put[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}
