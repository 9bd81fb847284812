package host

import (
	"slices"
	"strings"

	"github.com/moby/moby/api/types/swarm"

	"plimsoll/checks"
	"plimsoll/checks/secret"
)

// serviceCheck returns a check that looks at each service that runs containers.
func serviceCheck(c checks.Check, run func(h *Host, s swarm.ServiceSpec, report func(checks.Finding))) *checks.Check {
	return check(c, func(h *Host, report func(checks.Finding)) {
		if h.Swarm == nil {
			return
		}
		for _, s := range h.Swarm.Services {
			if s.Spec.TaskTemplate.ContainerSpec == nil {
				continue // a plug-in, or the attachment of a plain container
			}
			run(h, s.Spec, func(f checks.Finding) {
				f.Key = s.Spec.Name
				report(f)
			})
		}
	})
}

var serviceLimits = serviceCheck(checks.Check{
	ID:       "swarm-service-no-limits",
	Title:    "Service without limits",
	Severity: checks.Medium,
	Chapter:  checks.ResourceLimits,
	Refs:     []string{"CIS 5.11 (v1.6.0)", "CIS 5.12 (v1.6.0)"},
}, func(h *Host, s swarm.ServiceSpec, report func(checks.Finding)) {
	var limit swarm.Limit
	if r := s.TaskTemplate.Resources; r != nil && r.Limits != nil {
		limit = *r.Limits
	}
	f := checks.Finding{}
	var missing []string
	if limit.NanoCPUs <= 0 {
		missing = append(missing, "NanoCPUs")
		f.Message = checks.Msg("a task of the service %s may take every processor of its node", s.Name)
		f.Severity = checks.Low
	}
	if limit.MemoryBytes <= 0 {
		missing = append(missing, "MemoryBytes")
		f.Message = checks.Msg("a task of the service %s may take all memory of its node", s.Name)
		f.Severity = checks.Medium
	}
	if len(missing) == 2 {
		f.Message = checks.Msg("a task of the service %s may take all memory and every processor of its node", s.Name)
	}
	if missing != nil {
		f.Evidence = []checks.Evidence{{Source: "service " + s.Name + ", TaskTemplate.Resources.Limits", Detail: "no " + strings.Join(missing, ", no ")}}
		report(f)
	}
})

var serviceRollback = serviceCheck(checks.Check{
	ID:       "swarm-service-no-rollback",
	Title:    "Service stays on a failed update",
	Severity: checks.Low,
	Chapter:  checks.Updates,
}, func(h *Host, s swarm.ServiceSpec, report func(checks.Finding)) {
	if s.Mode.ReplicatedJob != nil || s.Mode.GlobalJob != nil {
		return // jobs run once; there is nothing to go back to
	}
	action := swarm.UpdateFailureActionPause // of a service that says nothing
	if s.UpdateConfig != nil && s.UpdateConfig.FailureAction != "" {
		action = s.UpdateConfig.FailureAction
	}
	f := checks.Finding{Evidence: []checks.Evidence{{Source: "service " + s.Name + ", UpdateConfig.FailureAction", Detail: string(action)}}}
	switch action {
	case swarm.UpdateFailureActionRollback:
		return
	case swarm.UpdateFailureActionContinue:
		f.Message = checks.Msg("a broken update of the service %s replaces every task that still works", s.Name)
	default:
		f.Message = checks.Msg("a broken update of the service %s stops halfway and waits for somebody", s.Name)
	}
	report(f)
})

var serviceImage = serviceCheck(checks.Check{
	ID:       "swarm-service-mutable-image",
	Title:    "Service image may differ from node to node",
	Severity: checks.Low,
	Chapter:  checks.Updates,
	Refs:     []string{"CIS 5.28 (v1.6.0)"},
}, func(h *Host, s swarm.ServiceSpec, report func(checks.Finding)) {
	image := s.TaskTemplate.ContainerSpec.Image
	if strings.Contains(image, "@sha256:") || strings.HasPrefix(image, "sha256:") {
		return
	}
	report(checks.Finding{
		Message:  checks.Msg("each node of the service %s runs whatever %s means to it", s.Name, image),
		Evidence: []checks.Evidence{{Source: "service " + s.Name + ", ContainerSpec.Image", Detail: image}},
	})
})

var secretsUnused = serviceCheck(checks.Check{
	ID:       "swarm-secrets-unused",
	Title:    "Secrets in the environment of services, none in the swarm",
	Severity: checks.Medium,
	Chapter:  checks.Secrets,
	Refs:     []string{"CIS 7.4 (v1.6.0)", "OWASP Docker rule 12"},
}, func(h *Host, s swarm.ServiceSpec, report func(checks.Finding)) {
	if h.Swarm.Secrets == nil || len(h.Swarm.Secrets) > 0 {
		return
	}
	var found []string
	for _, variable := range s.TaskTemplate.ContainerSpec.Env {
		if name, value, ok := strings.Cut(variable, "="); ok && secret.Variable(name, value) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return
	}
	slices.Sort(found)
	report(checks.Finding{
		Message: checks.Msg("the service %s carries %s in its environment, and the swarm keeps no secret", s.Name, some(found)),
		Evidence: []checks.Evidence{
			{Source: "service " + s.Name + ", ContainerSpec.Env", Detail: some(found)},
			{Source: "docker secret ls", Detail: "none"},
		},
	})
})

var secretOld = check(checks.Check{
	ID:       "swarm-secret-old",
	Title:    "Secret of the swarm is old",
	Severity: checks.Info,
	Chapter:  checks.Secrets,
}, func(h *Host, report func(checks.Finding)) {
	if h.Swarm == nil {
		return
	}
	for _, s := range h.Swarm.Secrets {
		// What a driver fetches is not kept in the swarm and may be new every time.
		if s.Spec.Driver == nil && h.old(s.CreatedAt, oldKey) {
			report(checks.Finding{
				Key:      s.Spec.Name,
				Message:  checks.Msg("the secret %s has been the same for %d days", s.Spec.Name, h.days(s.CreatedAt)),
				Evidence: []checks.Evidence{{Source: "secret " + s.Spec.Name + ", CreatedAt", Detail: s.CreatedAt.UTC().Format("2006-01-02")}},
			})
		}
	}
	for _, c := range h.Swarm.Configs {
		if secret.SensitiveName(c.Spec.Name) && h.old(c.CreatedAt, oldKey) {
			report(checks.Finding{
				Key:      "config/" + c.Spec.Name,
				Message:  checks.Msg("the config %s, which is named like a secret, has been the same for %d days", c.Spec.Name, h.days(c.CreatedAt)),
				Evidence: []checks.Evidence{{Source: "config " + c.Spec.Name + ", CreatedAt", Detail: c.CreatedAt.UTC().Format("2006-01-02")}},
			})
		}
	}
})
