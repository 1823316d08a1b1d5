package controllers

import (
	"context"
	"fmt"

	"vestibule.dev/vestibule/api/v1alpha1"
	"vestibule.dev/vestibule/controllers/internal/conditions"
	"vestibule.dev/vestibule/controllers/internal/resources"
	"vestibule.dev/vestibule/gateway/policy"
)

// observeRefusals looks for what the schema cannot refuse.
func (r *Reconciler) observeRefusals(ctx context.Context, s *scope) error {
	if s.seen.Store == nil {
		return nil // What is in the way is not known, and an error is on its way.
	}
	refusals := []conditions.Refusal{} // Not nil: it is known that there is none.
	refuse := func(reason, format string, args ...any) {
		refusals = append(refusals, conditions.Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)})
	}
	unknown, err := r.unknownFields(ctx, s)
	if err != nil {
		return err
	}
	if len(unknown) > 0 {
		refuse(v1alpha1.ReasonFieldUnknown, "%s", fieldsUnknown(unknown))
	}
	for _, object := range resources.Objects(s.server) {
		if object.Type == v1alpha1.MCPObjectURL {
			refuse(v1alpha1.ReasonURLInCluster,
				"%s.type must be Service in a cluster: a URL is for kubectl vestibule run, on a developer's machine.", object.Field)
		}
	}
	if around, guarded, ok := resources.Exposed(s.server); !ok {
		refuse(v1alpha1.ReasonRouteExposed,
			"routes[%s].backendPath leads past what guards routes[%s]: change one of the two, or let another Service serve one of them.", around, guarded)
	}
	switch kv := &s.server.Spec.Bindings.OAuthKV; {
	case kv.Kubernetes == nil && len(s.left) > 0 && !s.seen.Store.Left:
		refuse(v1alpha1.ReasonMigrationUnfinished,
			"bindings.oauthKV: there are records in objects of type Kubernetes that may not be in the store: set migrateFrom and kubernetes again, until OAuthKVBound says Migrated.")
	case s.boundStore() == v1alpha1.OAuthKVEtcd && kv.Type != v1alpha1.OAuthKVEtcd && kv.MigrateFrom == "":
		refuse(v1alpha1.ReasonMigrationUnfinished,
			"bindings.oauthKV: there are records in the store of type Etcd that may not be in the one of type %s: set migrateFrom and etcd again, until OAuthKVBound says Migrated.", kv.Type)
	}
	rules := resources.GatewayPolicy(s.server).Rules
	if _, err := policy.CompileAccess(rules.AccessRules); err != nil {
		refuse(v1alpha1.ReasonAccessRuleInvalid, "access.rules: %v", err)
	}
	if _, err := policy.CompileScopes(rules.Scopes); err != nil {
		refuse(v1alpha1.ReasonScopeRuleInvalid, "%v", err)
	}
	rival, err := r.rival(ctx, s.server)
	if err != nil {
		return err
	}
	s.placed = rival == ""
	if rival != "" {
		refuse(v1alpha1.ReasonPublicURLTaken, "%s", rival)
	}
	if message := s.retainedDiffers(); message != "" {
		refuse(v1alpha1.ReasonRetainedDiffers, "%s", message)
	}
	for _, c := range s.allForeign() {
		refusals = append(refusals, s.inTheWay(c))
	}
	s.seen.Refusals = refusals
	return nil
}
