package resources

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/gateway/config"
)

// annotationLived is on the Secret with the keys: the longest, in seconds, that
// anything under them may live. It never gets less, since what was made with more is
// still there.
const annotationLived = "mcp.vestibule.dev/keys-lived-seconds"

// annotationDropped is on the Secret with the keys: the drops that all gateways have
// followed, as droppedList has them.
const annotationDropped = "mcp.vestibule.dev/keys-dropped-everywhere"

// Keys returns the Secret with a new key set, which must hold a key.
func Keys(server *v1alpha1.MCPServer, set *config.KeySet) (*corev1.Secret, error) {
	s := &corev1.Secret{ObjectMeta: storeMeta(server, KeysName(server), ComponentKeys)}
	for k, v := range KeysLabels(server, string(server.UID), StoreToBegin(server)) {
		if v != "" {
			s.Labels[k] = v
		}
	}
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Annotations[annotationLived] = "0"
	raiseLived(s, server)
	if err := putKeys(s, set); err != nil {
		return nil, err
	}
	_, err := identify(s, set)
	return s, err
}

func putKeys(s *corev1.Secret, set *config.KeySet) error {
	data, err := set.Marshal()
	if err != nil {
		return fmt.Errorf("encoding the key set: %w", err)
	}
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	s.Data[keysKey] = data
	return nil
}

// BlankKeys is a copy of the Secret whose keys are no secrets, for finding out what
// would be due.
func BlankKeys(s *corev1.Secret) (*corev1.Secret, error) {
	set, err := config.ParseKeySet(s.Data[keysKey])
	if err != nil {
		return nil, err
	}
	for i := range set.Keys {
		clear(set.Keys[i].Secret)
	}
	blank := &corev1.Secret{}
	blank.Annotations = map[string]string{}
	for _, name := range []string{annotationLived, annotationDropped} {
		if value, ok := s.Annotations[name]; ok {
			blank.Annotations[name] = value
		}
	}
	if err := putKeys(blank, set); err != nil {
		return nil, err
	}
	if len(s.Data[identityKey]) > 0 {
		blank.Data[identityKey] = []byte("noted")
	}
	return blank, nil
}

// KeyCommands are the times of the commands in annotations; zero if there is none.
type KeyCommands struct{ Rotate, Drop time.Time }

// KeyChanges are what was due.
type KeyChanges struct {
	// Dropping are the ids of the keys that are dropped, if it is not noted yet that all
	// gateways have followed.
	Dropping []int
	// Added is the new key if one was added; it is good at once if some were dropped.
	Added *config.Key
	// Removed are the ids of keys under which nothing lives any more.
	Removed []uint8
	// Changed says that the Secret has to be written.
	Changed bool
	// Exhausted is why a key that was due could not be added, or nil.
	Exhausted error
	// Next is when something will be due.
	Next time.Time
}

// TurnKeys does to the Secret with the keys what is due. It works on a blank copy as
// on the Secret itself. An error says that the Secret cannot be read, and does not
// quote it.
func TurnKeys(s *corev1.Secret, server *v1alpha1.MCPServer, commands KeyCommands, now time.Time) (KeyChanges, error) {
	var c KeyChanges
	set, err := config.ParseKeySet(s.Data[keysKey])
	if err != nil {
		return c, err
	}
	before := *set
	c.Changed = raiseLived(s, server)
	identified, err := identify(s, set)
	if err != nil {
		return c, err
	}
	c.Changed = c.Changed || identified
	var errs [2]error
	if !commands.Drop.IsZero() && !commands.Drop.After(now) {
		var dropped int
		dropped, errs[0] = set.Drop(commands.Drop, now)
		//rule:drop-keeps-fingerprint
		if dropped > 0 {
			if err := renewIdentity(s, set); err != nil {
				return c, err
			}
		}
	}
	c.Removed, c.Next = set.Retire(lived(s), now)
	due := rotationDue(set, server, commands)
	if !due.After(now) {
		errs[1] = set.Append(now.Add(config.KeyPropagation))
		due = rotationDue(set, server, commands)
	}
	c.Exhausted = errors.Join(errs[:]...)
	for _, at := range []time.Time{due, commands.Drop} {
		if at.After(now) && (c.Next.IsZero() || at.Before(c.Next)) {
			c.Next = at
		}
	}
	if set.Newest().ID != before.Newest().ID {
		c.Added = set.Newest()
	}
	if len(set.Dropped) > 0 && s.Annotations[annotationDropped] != droppedList(set) {
		c.Dropping = set.Loaded().Dropped
	}
	if c.Added == nil && len(c.Removed) == 0 && len(set.Dropped) == len(before.Dropped) {
		return c, nil
	}
	c.Changed = true
	return c, putKeys(s, set)
}

// droppedList are the drops of a set: an id may be used again after a long time.
func droppedList(set *config.KeySet) string {
	var all []string
	for _, d := range set.Dropped {
		all = append(all, fmt.Sprintf("%d@%d", d.ID, d.At.Unix()))
	}
	return strings.Join(all, ",")
}

// ConfirmDrop notes on the Secret with the keys that all gateways have followed.
func ConfirmDrop(s *corev1.Secret) error {
	set, err := config.ParseKeySet(s.Data[keysKey])
	if err != nil {
		return err
	}
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Annotations[annotationDropped] = droppedList(set)
	return nil
}

// rotationPeriodDefault is the schema's, for an API server that has an older one.
const rotationPeriodDefault = 90 * 24 * time.Hour

func rotationDue(set *config.KeySet, server *v1alpha1.MCPServer, commands KeyCommands) time.Time {
	period := time.Duration(server.Spec.OAuth.Keys.RotationPeriodSeconds) * time.Second
	if period <= 0 {
		period = rotationPeriodDefault
	}
	made := set.Newest().MadeAt()
	due := made.Add(period)
	// Keys are made at whole seconds.
	if commanded := commands.Rotate.Truncate(time.Second); made.Before(commanded) && commanded.Before(due) {
		return commanded
	}
	return due
}

// longestLived is the most that any spec can ask for: what is under the keys of a
// Secret that does not say lives no longer.
const longestLived = 365 * 24 * time.Hour

// margin is for clocks that differ, and gateways that hear late of a new key.
const margin = 24 * time.Hour

// lived is how long anything under a key may live after another has taken over: the
// longest that the server ever had, and a day.
func lived(s *corev1.Secret) time.Duration {
	seconds, err := strconv.ParseInt(s.Annotations[annotationLived], 10, 32)
	if err != nil {
		return longestLived + margin
	}
	return time.Duration(seconds)*time.Second + margin
}

// raiseLived makes lived at least what the server asks for, and says whether it was less.
func raiseLived(s *corev1.Secret, server *v1alpha1.MCPServer) bool {
	o := &server.Spec.OAuth
	wanted := slices.Max([]int64{
		// A record is sealed anew whenever it is written, so it lives this long after
		// its last seal; its tokens do not outlive it.
		int64(o.ClientRegistration.TTLSeconds), int64(o.ClientRegistration.UnusedTTLSeconds), int64(o.RefreshTokenTTLSeconds),
		int64(config.SessionTTL / time.Second),
	})
	if time.Duration(wanted)*time.Second+margin <= lived(s) {
		return false
	}
	s.Annotations[annotationLived] = strconv.FormatInt(wanted, 10)
	return true
}
