-- A session in a real editor: opens a migration, types, and writes what it saw as JSON to $ZDM_RESULT.
local seen = {}

local function finish()
  local file = assert(io.open(vim.env.ZDM_RESULT, "w"))
  file:write(vim.fn.json_encode(seen))
  file:close()
  vim.cmd("qa!")
end

local ok, failure = pcall(function()
  local zdm = require("zdm")
  zdm.setup({ cmd = { vim.env.ZDM_LINT, "lsp" } })
  vim.cmd("filetype on")
  vim.cmd("edit " .. vim.env.ZDM_FILE)
  local buffer = vim.api.nvim_get_current_buf()
  local function diagnostics()
    local codes = {}
    for _, diagnostic in ipairs(vim.diagnostic.get(buffer)) do
      local lsp = diagnostic.user_data and diagnostic.user_data.lsp or {}
      table.insert(codes, { code = lsp.code or diagnostic.code, line = diagnostic.lnum, message = diagnostic.message })
    end
    return codes
  end
  local function has(code)
    for _, diagnostic in ipairs(diagnostics()) do
      if diagnostic.code == code then
        return true
      end
    end
    return false
  end
  seen.found = vim.wait(20000, function()
    return has("ZDM501")
  end, 20)
  seen.diagnostics = diagnostics()

  local line
  for number, text in ipairs(vim.api.nvim_buf_get_lines(buffer, 0, -1, false)) do
    if text:find("RunPython", 1, true) then
      line = number - 1
    end
  end
  vim.api.nvim_win_set_cursor(0, { line + 1, 12 })
  local function request(method, params)
    local answers = vim.lsp.buf_request_sync(buffer, method, params, 20000) or {}
    for _, answer in pairs(answers) do
      return answer.result
    end
  end
  local position = vim.lsp.util.make_position_params()
  local hover = request("textDocument/hover", position)
  seen.hover = hover and hover.contents.value

  local params = vim.lsp.util.make_range_params()
  params.context = { diagnostics = {} }
  local actions = request("textDocument/codeAction", params) or {}
  seen.actions = {}
  local fix
  for _, action in ipairs(actions) do
    table.insert(seen.actions, action.title)
    if action.title:find("reverse_code", 1, true) then
      fix = action
    end
  end
  -- The fix is applied as Neovim applies it, and the finding goes.
  vim.lsp.util.apply_workspace_edit(fix.edit, "utf-16")
  seen.fixed = vim.wait(20000, function()
    return not has("ZDM501")
  end, 20)
  seen.text = table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), "\n")

  -- What is typed is found while the file is not saved.
  vim.api.nvim_buf_set_lines(buffer, line, line, false, { "        migrations.RunPython(print)," })
  seen.typed = vim.wait(20000, function()
    return has("ZDM501")
  end, 20)

  zdm.show_sql()
  seen.shown = vim.wait(20000, function()
    return vim.bo.filetype == "sql"
  end, 20)
  seen.sql = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\n")
end)
if not ok then
  seen.failure = tostring(failure)
end
finish()
