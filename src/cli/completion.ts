import { Argument, type Command } from 'commander';
import { type Cli, CliError } from './context.js';
import { EXIT } from './exit-codes.js';

const SHELLS = ['bash', 'zsh', 'fish'];

export function register(program: Command, cli: Cli): void {
  cli
    .command(
      program,
      'completion',
      'a script that completes commands, options and sites: source <(holdfast completion bash)',
    )
    .addArgument(new Argument('[shell]', 'for which shell').choices(SHELLS))
    .option('--sites', 'the names of the sites, for that script')
    .action(
      cli.action(async (call) => {
        if (call.options.sites === true) {
          const { loadConfig } = await import('./sites.js');
          for (const site of Object.keys((await loadConfig(call)).sites)) call.say(site);
          return EXIT.completed;
        }
        const script = SCRIPTS[call.args[0] ?? ''];
        if (!script) throw new CliError(EXIT.usage, `name a shell: ${SHELLS.join(', ')}`);
        call.cli.write(script(program));
        return EXIT.completed;
      }),
    );
}

/** Every command by its words (`schedule apply`), with its options. */
function commandsOf(command: Command, words: string[] = []): { words: string; about: string; options: string[] }[] {
  return command.commands.flatMap((one) => {
    const path = [...words, one.name()];
    const options = one.options.flatMap(({ long }) => (long ? [long] : []));
    return [{ words: path.join(' '), about: one.description(), options }, ...commandsOf(one, path)];
  });
}

/** What may stand after the words of `path`: subcommands, or the command's options. */
function choices(program: Command): { path: string; words: string[] }[] {
  const all = commandsOf(program);
  const below = (path: string) =>
    all
      .filter(({ words }) => words.slice(0, words.lastIndexOf(' ') + 1).trimEnd() === path)
      .map(({ words }) => words.split(' ').at(-1) ?? '');
  return [
    { path: '', words: below('') },
    ...all.map(({ words, options }) => ({ path: words, words: [...below(words), ...options] })),
  ];
}

/** Asked when it is needed, of the config that is there then. */
const SITES = 'holdfast completion --sites 2>/dev/null';

function bash(program: Command): string {
  const cases = choices(program).map(({ path, words }) => `    '${path}') words='${words.join(' ')}' ;;`);
  return `_holdfast() {
  local current=\${COMP_WORDS[COMP_CWORD]} path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) path="\${path:+$path }$word" ;; esac
  done
  case $path in
${cases.join('\n')}
  esac
  if [[ -n $path && $current != -* ]]; then words="$words $(${SITES})"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _holdfast holdfast
`;
}

function fish(program: Command): string {
  const lines = commandsOf(program).flatMap(({ words, about, options }) => {
    const [first = '', second] = words.split(' ');
    const when = second ? `__fish_seen_subcommand_from ${first}` : '__fish_use_subcommand';
    const seen = `__fish_seen_subcommand_from ${second ?? first}`;
    const text = about.replaceAll(/['\\]/g, String.raw`\$&`);
    return [
      `complete -c holdfast -f -n '${when}' -a ${second ?? first} -d '${text}'`,
      ...options.map((option) => `complete -c holdfast -n '${seen}' -l ${option.slice(2)}`),
    ];
  });
  return `${[...lines, `complete -c holdfast -f -n 'not __fish_use_subcommand' -a '(${SITES})'`].join('\n')}\n`;
}

const SCRIPTS: Record<string, (program: Command) => string> = {
  bash,
  // zsh reads bash's own completions.
  zsh: (program) => `autoload -U +X bashcompinit && bashcompinit\n${bash(program)}`,
  fish,
};
