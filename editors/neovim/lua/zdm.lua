--- Findings, SQL and locks of Django migrations while they are written.
---
---   require("zdm").setup({})
---
--- Neovim 0.7 and later. Options, all of them optional:
---   cmd       the server, a list of words; default: `zdm-lint lsp` of the project's virtual environment, else of PATH
---   settings  what docs/editors.md lists: postgres, django, config, base, select, ignore, diagnosticScope, codeLens, inlayHints
---   on_attach called with the client and the buffer
local M = {}

local options = { settings = {} }

--- The nearest folder from `start` upward that holds one of `names`.
local function above(start, names)
  local folder = start
  while true do
    for _, name in ipairs(names) do
      if vim.loop.fs_stat(folder .. "/" .. name) then
        return folder
      end
    end
    local parent = vim.fn.fnamemodify(folder, ":h")
    if parent == folder then
      return nil
    end
    folder = parent
  end
end

--- The project's folder: where its configuration is, else `manage.py`, else the repository.
function M.root(path)
  local folder = vim.fn.fnamemodify(path, ":p:h")
  return above(folder, { "zdm.toml" }) or above(folder, { "manage.py" }) or above(folder, { "pyproject.toml", ".git" }) or folder
end

--- The server's command for a project.
function M.command(root)
  if options.cmd then
    return options.cmd
  end
  local environments = { vim.env.VIRTUAL_ENV, root .. "/.venv", root .. "/venv" }
  for index = 1, 3 do
    local environment = environments[index]
    local program = environment and environment .. "/bin/zdm-lint"
    if program and vim.fn.executable(program) == 1 then
      return { program, "lsp" }
    end
  end
  if vim.fn.executable("zdm-lint") == 1 then
    return { "zdm-lint", "lsp" }
  end
  return nil
end

--- Shows a document that the server made in a scratch window.
local function show(document)
  vim.cmd("botright new")
  local buffer = vim.api.nvim_get_current_buf()
  vim.api.nvim_buf_set_lines(buffer, 0, -1, false, vim.split(document.text, "\n"))
  vim.bo[buffer].filetype = document.languageId
  vim.bo[buffer].buftype = "nofile"
  vim.bo[buffer].bufhidden = "wipe"
  vim.bo[buffer].swapfile = false
  vim.bo[buffer].modifiable = false
  pcall(vim.api.nvim_buf_set_name, buffer, document.uri)
end

local function execute(client_id, command, arguments)
  local client = client_id and vim.lsp.get_client_by_id(client_id)
  for _, other in pairs(vim.lsp.buf_get_clients and vim.lsp.buf_get_clients(0) or {}) do
    client = client or (other.name == "zdm" and other) or nil
  end
  if not client then
    vim.notify("zdm: no server runs for this buffer", vim.log.levels.WARN)
    return
  end
  client.request("workspace/executeCommand", { command = command, arguments = arguments }, function(failure, document)
    if failure then
      vim.notify("zdm: " .. failure.message, vim.log.levels.WARN)
    elseif document then
      show(document)
    end
  end)
end

--- The SQL of the migration in the current buffer, with locks.
function M.show_sql()
  execute(nil, "zdm.showSql", { vim.uri_from_bufnr(0) })
end

--- A rule's page, by code or name.
function M.explain_rule(rule)
  execute(nil, "zdm.explainRule", { rule })
end

--- Writes a suppression above a line, with the reason that the user gives.
local function suppress(arguments)
  local uri, line, indent, code = unpack(arguments)
  vim.ui.input({ prompt = "Why is " .. code .. " no problem here? " }, function(reason)
    if reason and reason ~= "" then
      local buffer = vim.uri_to_bufnr(uri)
      local text = indent .. "# zdm: ignore[" .. code .. "] " .. reason
      vim.api.nvim_buf_set_lines(buffer, line, line, false, { text })
    end
  end)
end

--- Starts a server for a buffer, or joins the one of its project.
function M.attach(buffer)
  local path = vim.api.nvim_buf_get_name(buffer)
  if path == "" or vim.bo[buffer].buftype ~= "" then
    return
  end
  local root = M.root(path)
  local cmd = M.command(root)
  if not cmd then
    vim.notify_once("zdm: zdm-lint was not found; install it, or set `cmd`", vim.log.levels.WARN)
    return
  end
  local settings = vim.tbl_extend("force", options.settings or {}, { clientCommands = { "zdm.suppress" } })
  local config = {
    name = "zdm",
    cmd = cmd,
    root_dir = root,
    init_options = settings,
    workspace_folders = { { uri = vim.uri_from_fname(root), name = root } },
    on_attach = options.on_attach,
  }
  if vim.lsp.start then
    vim.lsp.start(config, { bufnr = buffer })
    return
  end
  for _, client in pairs(vim.lsp.get_active_clients()) do
    if client.name == "zdm" and client.config.root_dir == root then
      vim.lsp.buf_attach_client(buffer, client.id)
      return
    end
  end
  vim.lsp.buf_attach_client(buffer, vim.lsp.start_client(config))
end

function M.setup(given)
  options = vim.tbl_extend("force", options, given or {})
  vim.lsp.commands["zdm.showSql"] = function(command, context)
    execute(context and context.client_id, command.command, command.arguments)
  end
  vim.lsp.commands["zdm.explainRule"] = vim.lsp.commands["zdm.showSql"]
  vim.lsp.commands["zdm.suppress"] = function(command)
    suppress(command.arguments)
  end
  local group = vim.api.nvim_create_augroup("zdm", { clear = true })
  vim.api.nvim_create_autocmd("FileType", {
    group = group,
    pattern = "python",
    callback = function(event)
      M.attach(event.buf)
    end,
  })
  vim.api.nvim_create_autocmd("BufReadPost", {
    group = group,
    pattern = { "zdm.toml", "pyproject.toml" },
    callback = function(event)
      M.attach(event.buf)
    end,
  })
  vim.api.nvim_create_user_command("ZdmShowSql", M.show_sql, { desc = "The SQL of this migration, with locks" })
  vim.api.nvim_create_user_command("ZdmExplainRule", function(command)
    M.explain_rule(command.args)
  end, { nargs = 1, desc = "A rule's page" })
end

return M
