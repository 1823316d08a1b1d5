-- What Argo CD shows of an MCPServer. It goes into the ConfigMap argocd-cm, under
-- resource.customizations.health.mcp.vestibule.dev_MCPServer.

local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is(type, value)
  return conditions[type] ~= nil and conditions[type].status == value
end

local function says(health, type)
  return { status = health, message = conditions[type].message }
end

if conditions.Ready == nil or (status.observedGeneration or 0) < obj.metadata.generation then
  return { status = "Progressing", message = "The controller has not seen this version yet." }
end
if is("Stalled", "True") then
  return says("Degraded", "Stalled")
end
if is("Reconciling", "True") then
  -- What is wrong may pass, as when no node has room yet. It is said nevertheless.
  return says("Progressing", is("Ready", "False") and "Ready" or "Reconciling")
end
if is("Ready", "True") then
  return says("Healthy", "Ready")
end
if is("Ready", "Unknown") then
  return says("Progressing", "Ready")
end
-- Nothing ran yet, so nothing has failed: it waits for what somebody else has to bring.
if is("GatewayAvailable", "False") and conditions.GatewayAvailable.reason == "NotDeployed" then
  return says("Suspended", "Ready")
end
return says("Degraded", "Ready")
