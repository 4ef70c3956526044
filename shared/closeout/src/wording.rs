//! What a caller is told when a call is refused: every reason there is, in English and Chinese, with the rule and the way out.
//! A wording is chosen where a rule says no, and filled in where the answer is made; `{name}` stands for a value that goes with it.

use std::fmt::Write;

/// A language that people are answered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// The language of every message.
    English,
    /// 中文.
    Chinese,
}

impl Language {
    /// The language of a tag such as `zh-CN`; English for every other language.
    pub fn of(tag: &str) -> Self {
        let language = tag.trim().split(['-', '_']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("zh") { Self::Chinese } else { Self::English }
    }

    /// The one that an `accept-language` header prefers among those that there are; English if it knows neither.
    pub fn preferred(header: &str) -> Self {
        let mut best = (Self::English, 0.0);
        for range in header.split(',') {
            let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
            let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
            let known = ["zh", "en"].iter().any(|known| primary.eq_ignore_ascii_case(known));
            if known && weight > best.1 {
                best = (Self::of(tag), weight);
            }
        }
        best.0
    }

    /// Its tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
        }
    }
}

/// What kind of answer a refusal is; each has one status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Something about the request is wrong.
    Argument,
    /// One field of the request is wrong.
    Field,
    /// The caller is not known.
    Caller,
    /// The caller may not do this.
    Denied,
    /// There is no such record in the tenant.
    NotFound,
    /// A unique value is taken.
    Exists,
    /// The state does not allow it.
    Precondition,
    /// The record has changed, or others were in the way.
    Aborted,
    /// A limit is reached.
    Exhausted,
    /// It can not be done now.
    Unavailable,
    /// It took too long.
    Deadline,
    /// There is no such method.
    Unknown,
    /// A fault of the program.
    Internal,
}

impl Class {
    /// The name of its gRPC status code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Argument | Self::Field => "INVALID_ARGUMENT",
            Self::Caller => "UNAUTHENTICATED",
            Self::Denied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::Exists => "ALREADY_EXISTS",
            Self::Precondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::Exhausted => "RESOURCE_EXHAUSTED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Deadline => "DEADLINE_EXCEEDED",
            Self::Unknown => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A value in a wording, by its name there.
pub type Value = (&'static str, String);

/// Why a call is refused, in words.
#[derive(Debug, PartialEq, Eq)]
pub struct Wording {
    /// Stable word, the same for every wording of one reason.
    pub reason: &'static str,
    /// What kind of answer it is.
    pub class: Class,
    /// After so many milliseconds the same call may be made again; 0: it would be refused again.
    pub retry: u64,
    /// In English.
    pub en: &'static str,
    /// In Chinese.
    pub zh: &'static str,
}

impl Wording {
    /// The text with its values.
    pub fn text(&self, language: Language, values: &[Value]) -> String {
        let mut rest = match language {
            Language::English => self.en,
            Language::Chinese => self.zh,
        };
        let mut text = String::new();
        while let Some((before, name, after)) = next_value(rest) {
            text.push_str(before);
            match values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => text.push_str(value),
                // Writing to a string does not fail.
                None => drop(write!(text, "{{{name}}}")),
            }
            rest = after;
        }
        text.push_str(rest);
        text
    }
}

fn next_value(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

macro_rules! wordings {
    ($($(#[doc = $doc:literal])* $name:ident = $reason:literal, $class:ident $(, again after $retry:literal ms)?; $en:literal; $zh:literal;)+) => {
        $($(#[doc = $doc])* #[doc = concat!("\n\n`", $reason, "`: ", $en)]
        pub static $name: Wording = Wording { reason: $reason, class: Class::$class, retry: 0 $(+ $retry)?, en: $en, zh: $zh };)+

        /// Every wording.
        pub static ALL: &[&Wording] = &[$(&$name),+];
    };
}

wordings! {
    // The request as a whole.
    INVALID_FIELDS = "INVALID_FIELDS", Argument;
        "the request has invalid fields";
        "请求中有无效字段";
    KEY_REUSED = "IDEMPOTENCY_KEY_REUSED", Argument;
        "request_id was used for another request; give this one a new UUID";
        "request_id 已用于另一请求；请为本请求使用新的 UUID";
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE", Argument;
        "the message can not be read: {fault}";
        "无法读取消息：{fault}";
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE", Argument;
        "a call takes at most {most} messages, this one has {count}";
        "一次调用最多 {most} 条消息，现有 {count} 条";
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE", Exhausted;
        "the message is too large: {fault}";
        "消息过大：{fault}";

    // Fields.
    REQUIRED = "REQUIRED", Field;
        "must be given";
        "必须填写";
    REQUIRED_WITH_HISTORICAL = "REQUIRED", Field;
        "must be given with `historical`";
        "填写 `historical` 时必须填写";
    REQUIRED_ABOVE_ZERO = "REQUIRED", Field;
        "must be given, above zero";
        "必须填写，且大于零";
    REASON_REQUIRED = "REQUIRED", Field;
        "name the reason: one of {reasons}";
        "请填写消单原因，可选：{reasons}";
    INVALID_NAME = "INVALID_NAME", Field;
        "must be `{collection}/` and a lower-case UUID, such as {collection}/01890a5d-ac96-774b-bcce-b302099a8057";
        "必须为 `{collection}/` 加小写 UUID，例如 {collection}/01890a5d-ac96-774b-bcce-b302099a8057";
    INVALID_RECORD = "INVALID_NAME", Field;
        "must be customers/, opportunities/ or orders/ and a lower-case UUID";
        "必须为 customers/、opportunities/ 或 orders/ 加小写 UUID";
    INVALID_MESSAGE_NAME = "INVALID_NAME", Field;
        "must be a record, `/messages/` and a number, such as orders/01890a5d-ac96-774b-bcce-b302099a8057/messages/3";
        "必须为记录名称加 `/messages/` 和编号，例如 orders/01890a5d-ac96-774b-bcce-b302099a8057/messages/3";
    INVALID_OWN_RECORD = "INVALID_NAME", Field;
        "must be a record whose messages this service sends: {collections}, and a lower-case UUID";
        "必须为本服务负责发送消息的记录：{collections}，加小写 UUID";
    TOO_SHORT = "TOO_SHORT", Field;
        "must have at least {least} characters";
        "至少需要 {least} 个字符";
    TOO_LONG = "TOO_LONG", Field;
        "must have at most {most} characters, has {count}";
        "最多 {most} 个字符，现有 {count} 个";
    TOO_LONG_BYTES = "TOO_LONG", Field;
        "must have at most {most} bytes";
        "最多 {most} 个字节";
    CONTROL_CHARACTER = "CONTROL_CHARACTER", Field;
        "must not contain control characters";
        "不得包含控制字符";
    UNKNOWN_ENUM = "UNKNOWN_ENUM", Field;
        "{value} is no {type} that this version knows";
        "本版本不认识 {type} 的取值 {value}";
    INVALID_UUID = "INVALID_UUID", Field;
        "must be a UUID, such as 01890a5d-ac96-774b-bcce-b302099a8057";
        "必须为 UUID，例如 01890a5d-ac96-774b-bcce-b302099a8057";
    INVALID_PLAN_HASH = "INVALID_PLAN_HASH", Field;
        "must be the plan_hash of a preview: two times 32 hexadecimal digits with a dot between them";
        "必须为预览给出的 plan_hash：以点分隔的两组 32 位十六进制数字";
    INVALID_GROUP_HASH = "INVALID_PLAN_HASH", Field;
        "must be the plan_hash of a preview: 32 hexadecimal digits";
        "必须为预览给出的 plan_hash：32 位十六进制数字";
    NEGATIVE_DURATION = "INVALID_DURATION", Field;
        "must not be negative";
        "不得为负";
    INVALID_TIME = "INVALID_TIME", Field;
        "must be a time from year 1 to 9999, its nanos from 0 to 999,999,999";
        "必须为公元 1 至 9999 年之间的时间，nanos 为 0 至 999,999,999";
    IN_THE_FUTURE = "IN_THE_FUTURE", Field;
        "must not be in the future";
        "不得晚于当前时间";
    CURRENCY_CODE = "INVALID_MONEY", Field;
        "currency_code must be three capitals of ISO 4217, such as CNY";
        "currency_code 必须为 ISO 4217 的三个大写字母，例如 CNY";
    NEGATIVE_MONEY = "INVALID_MONEY", Field;
        "must not be negative";
        "金额不得为负";
    NANOS_TOO_LARGE = "INVALID_MONEY", Field;
        "nanos must be at most 999,999,999";
        "nanos 最大为 999,999,999";
    TOO_MANY_DIGITS = "INVALID_MONEY", Field;
        "{currency} has {digits} digits after the point, nanos say more";
        "{currency} 只有 {digits} 位小数，nanos 位数过多";
    MONEY_TOO_LARGE = "INVALID_MONEY", Field;
        "must be at most {most} minor units";
        "最多 {most} 个最小货币单位";
    INVALID_CURRENCY = "INVALID_CURRENCY", Field;
        "must be three capitals of ISO 4217, such as CNY; not XXX";
        "必须为 ISO 4217 的三个大写字母，例如 CNY；不可为 XXX";
    NO_TENANT_CURRENCY = "REQUIRED", Field;
        "must be given while the tenant has no currency; decide on one in the settings, and it is the default";
        "租户尚未设定本位币时必须填写；在设置中设定后即为默认值";
    INVALID_RATE = "INVALID_RATE", Field;
        "must be a decimal number above zero with at most 6 digits before the point and 12 after it, such as 7.1234";
        "必须为大于零的小数，整数部分最多 6 位，小数部分最多 12 位，例如 7.1234";
    RATE_OF_ITSELF = "CURRENCY", Field;
        "must be another one than {field}: the rate of a currency in itself is 1";
        "必须与 {field} 不同：同一货币的汇率恒为 1";
    UNKNOWN_FIELD = "UNKNOWN_FIELD", Field;
        "{path} can not be written; these can: {fields}";
        "{path} 不可写；可写字段：{fields}";
    NEGATIVE = "OUT_OF_RANGE", Field;
        "must not be negative";
        "不得为负";
    RANGE = "OUT_OF_RANGE", Field;
        "must be {least} to {most}";
        "必须为 {least} 至 {most}";
    BEFORE_CREATION = "OUT_OF_RANGE", Field;
        "must not be before create_time";
        "不得早于 create_time";
    TOTAL_TOO_LARGE = "OUT_OF_RANGE", Field;
        "the order's total is larger than any amount may be";
        "订单总额超出金额上限";
    PAYMENTS_TOO_LARGE = "OUT_OF_RANGE", Field;
        "the payments of one order add up to more than any amount may be";
        "该订单的收款合计超出金额上限";
    NOT_LATER = "OUT_OF_RANGE", Field;
        "must be later than {field}";
        "必须晚于 {field}";
    LESS_THAN = "OUT_OF_RANGE", Field;
        "must not be less than {field}";
        "不得小于 {field}";
    TOO_LONG_A_TIME = "OUT_OF_RANGE", Field;
        "must be at most {most} days after {field}; ask for one part after the other";
        "最多为 {field} 之后 {most} 天；请分段查询";
    NOT_AN_OUTCOME = "OUT_OF_RANGE", Field;
        "must be CANCELLED or PROCESSED";
        "必须为 CANCELLED 或 PROCESSED";
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN", Field;
        "must be the next_page_token of the page before, with the same filters; begin without one";
        "必须为上一页的 next_page_token 且筛选条件相同；首页请留空";
    INVALID_RESUME_TOKEN = "INVALID_RESUME_TOKEN", Field;
        "must be the resume_token of an earlier message of this method, with the same filters; begin without one";
        "必须为本方法先前消息中的 resume_token 且筛选条件相同；首次请留空";
    COUNT = "COUNT", Field;
        "must be {least} to {most} lines, are {count}";
        "必须为 {least} 至 {most} 行，现有 {count} 行";
    ITEM_COUNT = "COUNT", Field;
        "must be at most {most} items in one message, are {count}; send the rest in further messages of the same call";
        "一条消息最多 {most} 项，现有 {count} 项；其余请放在同一调用的后续消息中";
    AS_IN_FIRST_MESSAGE = "IMMUTABLE", Field;
        "is said in the first message of a call; leave it out of later ones, or say the same";
        "由调用的首条消息决定；后续消息请留空或保持一致";
    IMMUTABLE_CUSTOMER = "IMMUTABLE", Field;
        "the customer is set once; close this opportunity out as DUPLICATE and make another";
        "客户只能设置一次；请以 DUPLICATE 消单后另建商机";
    PLAN_OF_OTHER_CUSTOMER = "OTHER_CUSTOMER", Field;
        "is a plan to win back {customer}; name a plan of the customer of this opportunity";
        "该计划用于赢回 {customer}；请填写本商机所属客户的赢回计划";
    ENDS_PLAN = "ENDS_PLAN", Field;
        "must be empty with {result}, which ends the plan";
        "结果为 {result} 时计划即告结束，此字段须为空";
    KIND_OF_OTHER_SIDE = "KIND_OF_OTHER_SIDE", Field;
        "must be one of {kinds}";
        "必须为以下之一：{kinds}";
    INVALID_PIPELINE_NAME = "INVALID_NAME", Field;
        "must be `pipelines/PIPELINE`, such as pipelines/default";
        "必须为 `pipelines/管道`，例如 pipelines/default";
    INVALID_STAGE_NAME = "INVALID_NAME", Field;
        "must be `pipelines/PIPELINE/stages/STAGE`, such as pipelines/default/stages/engaging; list the pipelines to find it";
        "必须为 `pipelines/管道/stages/阶段`，例如 pipelines/default/stages/engaging；请在管道列表中查找";
    INVALID_ID = "INVALID_NAME", Field;
        "must be a lower-case letter, then lower-case letters, digits and hyphens, at most 63 characters, such as key-accounts";
        "必须以小写字母开头，其后为小写字母、数字和连字符，最多 63 个字符，例如 key-accounts";
    UNKNOWN_STAGE = "UNKNOWN_STAGE", Field;
        "must be one of {stages}";
        "必须为以下之一：{stages}";
    STAGE_OF_NO_PIPELINE = "UNKNOWN_STAGE", Field;
        "there is no {pipeline}; must be a stage of one of {pipelines}";
        "没有 {pipeline}；必须为以下管道之一的阶段：{pipelines}";
    STAGE_INACTIVE = "STAGE_INACTIVE", Field;
        "{stage} is not active any more; use one of {stages}";
        "{stage} 已停用；可选：{stages}";
    PIPELINE_INACTIVE = "STAGE_INACTIVE", Field;
        "{pipeline} is not active any more; list the pipelines to find another one";
        "{pipeline} 已停用；请在管道列表中选择其他管道";
    UNKNOWN_PIPELINE = "UNKNOWN_PIPELINE", Field;
        "there is no {pipeline}; list the pipelines, inactive ones included";
        "没有 {pipeline}；请列出全部管道（含已停用的）";
    PIPELINES_MISSING = "INCOMPLETE", Field;
        "must name every pipeline once; missing: {pipelines}";
        "必须列出每个管道各一次；缺少：{pipelines}";
    HOLD_TIME = "OUT_OF_RANGE", Field;
        "must be in the future, at most {days} days";
        "必须是未来 {days} 天之内的时间";
    REPEATED = "REPEATED", Field;
        "{value} is named twice";
        "{value} 重复";
    DAYS_IN_ORDER = "OUT_OF_RANGE", Field;
        "must be more days the more is done: warn, propose, close; 0 leaves one out";
        "天数必须逐级增加：提醒、建议、自动消单；0 表示不启用该级";
    NO_DATE = "INVALID_TIME", Field;
        "must be a day such as 2026-10-01";
        "必须为日期，例如 2026-10-01";
    TOO_MANY_DAYS = "COUNT", Field;
        "must be at most {most} days, are {count}";
        "最多 {most} 天，现有 {count} 天";
    TOO_MANY_RULES = "COUNT", Field;
        "must be at most {most} rules, are {count}";
        "最多 {most} 条规则，现有 {count} 条";
    PIPELINE_OR_STAGE = "INVALID_NAME", Field;
        "must be a pipeline or a stage, such as pipelines/default or pipelines/default/stages/engaging";
        "必须为管道或阶段，例如 pipelines/default 或 pipelines/default/stages/engaging";
    UNKNOWN_RIGHT = "UNKNOWN_RIGHT", Field;
        "{right} is no right; those about records end in .own, .team or .all: {rights}";
        "没有权限 {right}；与记录有关的权限以 .own、.team 或 .all 结尾：{rights}";
    BUILT_IN_ROLE = "IMMUTABLE", Field;
        "every tenant has the role {role} as it is; give yours another name";
        "角色 {role} 为所有租户内置，不可更改；请使用其他名称";
    TOO_MANY_ROLES = "COUNT", Field;
        "must be at most {most} roles, are {count}";
        "最多 {most} 个角色，现有 {count} 个";
    TOO_MANY_LIMITS = "COUNT", Field;
        "must be at most {most} amounts, are {count}";
        "最多 {most} 个金额，现有 {count} 个";
    MERGED_INTO_ITSELF = "REPEATED", Field;
        "{value} is the target, too; leave it out of the sources";
        "{value} 同时是合并目标；请将其从来源中去掉";
    SOURCE_COUNT = "COUNT", Field;
        "must be {least} to {most} competitors, are {count}";
        "必须为 {least} 至 {most} 个竞争对手，现有 {count} 个";
    ACTIVE_STAGE_REQUIRED = "REQUIRED", Field;
        "at least one stage must be active";
        "至少需要一个启用的阶段";
    STAGE_COUNT = "COUNT", Field;
        "must be {least} to {most} stages, are {count}";
        "必须为 {least} 至 {most} 个阶段，现有 {count} 个";
    TOO_MANY_STAGES = "COUNT", Field;
        "must be at most {most} stages, are {count} with those that are left out: they stay, inactive";
        "最多 {most} 个阶段，连同未列出的共 {count} 个；未列出的阶段会保留并停用";
    MIXED_CURRENCY = "MIXED_CURRENCY", Field;
        "must be in {currency} like the other lines";
        "必须与其他行同为 {currency}";
    MIXED_CURRENCY_RANGE = "MIXED_CURRENCY", Field;
        "must be in {currency} like {field}";
        "必须与 {field} 同为 {currency}";
    CURRENCY = "CURRENCY", Field;
        "must be in {currency}, the currency of the order";
        "必须为订单币种 {currency}";
    UNKNOWN_LINE = "UNKNOWN_LINE", Field;
        "the order has no line {line}";
        "订单没有第 {line} 行";
    TOO_MANY = "TOO_MANY", Field;
        "only {remaining} of line {line} are neither fulfilled nor cancelled";
        "第 {line} 行尚未履行且未取消的数量只有 {remaining}";
    OTHER_CUSTOMER = "OTHER_CUSTOMER", Field;
        "must be {customer}, the customer of {opportunity}";
        "必须为 {opportunity} 的客户 {customer}";

    // What a reason of a close-out asks for.
    UNKNOWN_REASON = "UNKNOWN_REASON", Field;
        "no such reason; use one of {reasons}";
        "没有该消单原因；可选：{reasons}";
    REASON_SCOPE = "REASON_SCOPE", Field;
        "{code} is a reason of scope {scope}; use one of {reasons}";
        "{code} 属于 {scope} 范围；可选：{reasons}";
    REASON_INACTIVE = "REASON_INACTIVE", Field;
        "{code} is not in use any more; use one of {reasons}";
        "{code} 已停用；可选：{reasons}";
    REASON_HISTORICAL_ONLY = "REASON_HISTORICAL_ONLY", Field;
        "{code} is for close-outs with a `historical` block only; use one of {reasons}";
        "{code} 仅用于带 `historical` 的消单；可选：{reasons}";
    DETAIL_REQUIRED = "DETAIL_TOO_SHORT", Field;
        "{code} needs a detail: say what happened";
        "{code} 需要说明：请写明发生了什么";
    DETAIL_TOO_SHORT = "DETAIL_TOO_SHORT", Field;
        "{code} needs a detail of at least {least} characters: say what happened";
        "{code} 需要至少 {least} 个字符的说明：请写明发生了什么";
    COMPETITOR_REQUIRED = "COMPETITOR_REQUIRED", Field;
        "{code} needs the competitor to whom it was lost (`competitors/` and a UUID)";
        "{code} 需要填写输给的竞争对手（`competitors/` 加 UUID）";

    REASON_MERGED = "REASON_INACTIVE", Field;
        "{code} was merged into {target}; use that one";
        "{code} 已并入 {target}；请改用后者";
    TOO_MANY_SECONDARY = "COUNT", Field;
        "must be at most {most} further reasons, are {count}";
        "最多 {most} 个次要原因，现有 {count} 个";
    VERIFICATION_REQUIRED = "VERIFICATION_REQUIRED", Field;
        "{code} needs a verification of the customer's status: say how, with whom and when you found out";
        "{code} 需要核实客户状态：请填写核实方式、联系人和时间";
    CONTRADICTION = "CONTRADICTION", Field;
        "{finding} can not be so if {code} is the reason; correct the finding, or choose another reason";
        "若原因为 {code}，则核实结果不可能是 {finding}；请更正核实结果，或选择其他原因";

    // What a reason itself may be.
    INVALID_CODE = "INVALID_CODE", Field;
        "must be 1 to 63 capitals, digits and `_`, beginning with a capital, such as PRICE_TOO_HIGH";
        "必须为 1 至 63 个大写字母、数字或 `_`，以大写字母开头，例如 PRICE_TOO_HIGH";
    INVALID_REASON_NAME = "INVALID_NAME", Field;
        "must be `closeOutReasons/` and a code in capitals, such as closeOutReasons/PRICE_TOO_HIGH";
        "必须为 `closeOutReasons/` 加大写代码，例如 closeOutReasons/PRICE_TOO_HIGH";
    TOO_MANY_NAMES = "COUNT", Field;
        "must be at most {most} names, are {count}";
        "最多 {most} 个名称，现有 {count} 个";
    INVALID_LANGUAGE = "INVALID_LANGUAGE", Field;
        "{language} is no language tag; must be letters and digits with hyphens, at most 35 characters, such as fr or pt-BR";
        "{language} 不是语言标签；必须为字母、数字和连字符，最多 35 个字符，例如 fr 或 pt-BR";
    TOO_MANY_LABELS = "COUNT", Field;
        "must be at most {most} labels beside `zh` and `en`, are {count}";
        "除 `zh` 和 `en` 外最多 {most} 个标签，现有 {count} 个";
    IMMUTABLE_SCOPE = "IMMUTABLE", Field;
        "the scope is {scope} for good; make another reason and deactivate this one";
        "适用范围 {scope} 不可更改；请新建原因并停用本原因";
    CLASS_OF_PROCESSED = "REASON_SCOPE", Field;
        "a reason of scope ORDER_PROCESSED is no loss: leave its class out";
        "ORDER_PROCESSED 范围的原因不属于流失：请勿填写类别";
    COMPETITOR_OF_ORDER = "REASON_SCOPE", Field;
        "an order's close-out names no competitor; only a reason of scope OPPORTUNITY can ask for one";
        "订单消单不填写竞争对手；只有 OPPORTUNITY 范围的原因才能要求填写";
    REASON_REPEATED = "REPEATED", Field;
        "is named twice; name each reason of the scope once";
        "重复出现；范围内每个原因只能出现一次";
    REASONS_MISSING = "INCOMPLETE", Field;
        "must name every reason of scope {scope}; missing: {missing}";
        "必须列出 {scope} 范围的全部原因；缺少：{missing}";
    REASON_OF_OTHER_SCOPE = "UNKNOWN_REASON", Field;
        "scope {scope} has no such reason";
        "{scope} 范围没有该原因";

    // Records and their states.
    NOT_FOUND = "NOT_FOUND", NotFound;
        "{subject} does not exist; check the name and the tenant";
        "{subject} 不存在；请检查名称和租户";
    NO_SUCH_MESSAGE = "NOT_FOUND", NotFound;
        "{subject} is not in the outbox; it has arrived, or it never was: list the parked ones";
        "{subject} 不在发件箱中：已送达或从未存在；请列出被搁置的消息";
    NUMBER_TAKEN = "NUMBER_TAKEN", Exists;
        "number {subject} is taken by another record; give it another one";
        "编号 {subject} 已被占用；请换一个编号";
    NAME_TAKEN = "NAME_TAKEN", Exists;
        "a competitor called {subject} exists; list the competitors to find it";
        "名为 {subject} 的竞争对手已存在；请在竞争对手列表中查找";
    CODE_TAKEN = "CODE_TAKEN", Exists;
        "{subject} exists; change it, or give the new one another code";
        "{subject} 已存在；请修改它，或为新原因换一个代码";
    PIPELINE_TAKEN = "NAME_TAKEN", Exists;
        "{subject} exists already; update it, or take another id";
        "{subject} 已存在；请更新它，或换一个标识";
    VALUE_TAKEN = "VALUE_TAKEN", Exists;
        "a value that must be unique is taken ({constraint}); give it another one";
        "必须唯一的值已被占用（{constraint}）；请换一个值";
    VERSION_MISMATCH = "VERSION_MISMATCH", Aborted;
        "{subject} has changed since it was read; read it again and repeat the call";
        "{subject} 在读取之后已被修改；请重新读取后再试";
    PLAN_CHANGED = "PLAN_CHANGED", Aborted;
        "closing {subject} out comes to something else than the plan that was confirmed; look at the new plan and confirm that";
        "{subject} 的消单结果已与所确认的预览不同；请查看新的预览后再确认";
    SUBJECT_CLOSED = "SUBJECT_CLOSED", Precondition;
        "{subject} is closed out by {close_out}; reopen it to change it";
        "{subject} 已由 {close_out} 消单；如需修改请先重新打开";
    SUBJECT_ENDED = "SUBJECT_CLOSED", Precondition;
        "{subject} is {state}; reopen it first";
        "{subject} 处于 {state}；请先重新打开";
    ALREADY_CLOSED = "ALREADY_CLOSED", Precondition;
        "{subject} is closed out already, by {close_out}";
        "{subject} 已由 {close_out} 消单，无需再次消单";
    CLOSE_PENDING = "CLOSE_PENDING", Precondition;
        "{subject} waits for another person's approval of {close_out}; approve, reject or withdraw that first";
        "{subject} 的消单 {close_out} 正在等待他人审批；请先批准、驳回或撤回该消单";
    CUSTOMER_CLOSING = "CUSTOMER_CLOSING", Precondition;
        "{subject} is being closed out, or reopened, as a whole by {group}; read that until it is CLOSED or REOPENED";
        "{subject} 正在由 {group} 整体消单或撤销；请等待其状态变为 CLOSED 或 REOPENED";
    DECLINED = "DECLINED", Precondition;
        "{subject} stays open: its {close_out} is {state}; close it out again by itself";
        "{subject} 保持进行中：其消单 {close_out} 处于 {state}；如需消单请单独进行";
    GROUP_NOT_CLOSED = "NOT_CLOSED", Precondition;
        "{subject} is {state}; only one that is CLOSED can be taken back";
        "{subject} 处于 {state}；只有 CLOSED 状态的才能撤销";
    NOTHING_OPEN = "NOTHING_OPEN", Precondition;
        "{subject} has no open opportunity, so there is nothing to be closed out";
        "{subject} 没有进行中的商机，无需消单";
    WIN_BACK_ENDED = "WIN_BACK_ENDED", Precondition;
        "{subject} is {state}; only a plan that is PLANNED or RUNNING can be worked on, and one that was not RECOVERED or CANCELLED made an opportunity of";
        "{subject} 处于 {state}；只有 PLANNED 或 RUNNING 的计划可以跟进，RECOVERED 或 CANCELLED 的计划不能再转为商机";
    ON_HOLD = "ON_HOLD", Precondition;
        "{subject} is on hold until {until}; resume it first";
        "{subject} 已搁置至 {until}；请先恢复";
    NOT_STALE = "NOT_STALE", Precondition;
        "{subject} has a task that is due later, so it is not stale; look at it again when that is over";
        "{subject} 有尚未到期的任务，不属于停滞；请在任务到期后再看";
    WORKED_ON = "NOT_STALE", Precondition;
        "{subject} was worked on since it was found to be stale, so it is not";
        "{subject} 在被判定停滞之后已有跟进，不再属于停滞";
    HAS_ORDER = "NOT_STALE", Precondition;
        "{subject} has {order}, which is a draft or live, so it is not stale; close that out first";
        "{subject} 有草稿或进行中的订单 {order}，不属于停滞；请先对该订单消单";
    NOT_ON_HOLD = "NOT_ON_HOLD", Precondition;
        "{subject} is {state}; only one that is on hold can be resumed";
        "{subject} 处于 {state}；只有已搁置的才能恢复";
    NOT_PENDING = "NOT_PENDING", Precondition;
        "{subject} is {state} and waits for nobody's approval; read it to see what was decided";
        "{subject} 处于 {state}，不在等待审批；请读取该消单查看审批结果";
    APPROVAL_EXPIRED = "APPROVAL_EXPIRED", Precondition;
        "{subject} could be approved until {expired}; {actor} has to ask for it again";
        "{subject} 的审批已于 {expired} 到期；请由 {actor} 重新发起消单";
    NOT_IN_FORCE = "NOT_IN_FORCE", Precondition;
        "{subject} is {state}; only a close-out in force can be amended";
        "{subject} 处于 {state}；只有生效中的消单才能更正";
    CAUSED = "CAUSED", Precondition;
        "{subject} was caused by {cause} and follows it; amend that one";
        "{subject} 由 {cause} 引起并随之更正；请更正后者";
    NOT_CLOSED = "NOT_CLOSED", Precondition;
        "{subject} is {state}; only a closed-out one can be reopened";
        "{subject} 处于 {state}；只有已消单的才能重新打开";
    NOT_CLOSED_OR_WON = "NOT_CLOSED", Precondition;
        "{subject} is {state}; only a closed-out or won one can be reopened";
        "{subject} 处于 {state}；只有已消单或已赢单的才能重新打开";
    WON_FIRST = "WRONG_STATE", Precondition;
        "{subject} is {state}; reopen it before you close it out";
        "{subject} 处于 {state}；消单前请先重新打开";
    CHANGE_THE_LINES = "WRONG_STATE", Precondition;
        "{subject} is {state}; change its lines instead";
        "{subject} 处于 {state}；请直接修改其明细行";
    CONFIRM_FIRST = "WRONG_STATE", Precondition;
        "{subject} is {state}; confirm it first";
        "{subject} 处于 {state}；请先确认订单";
    CONFIRM_BEFORE_PAYMENT = "WRONG_STATE", Precondition;
        "{subject} is {state}; confirm it before a payment is recorded";
        "{subject} 处于 {state}；登记收款前请先确认订单";
    CONFIRM_AND_FULFIL_FIRST = "WRONG_STATE", Precondition;
        "{subject} is {state}; confirm and fulfil it first, or close it out as CANCELLED";
        "{subject} 处于 {state}；请先确认并履行，或以 CANCELLED 消单";
    ONLY_DRAFTS_CONFIRMED = "WRONG_STATE", Precondition;
        "{subject} is {state}; only a draft can be confirmed";
        "{subject} 处于 {state}；只有草稿才能确认";
    ONLY_DRAFTS_REWRITTEN = "WRONG_STATE", Precondition;
        "{subject} is {state}; its lines change only while it is a draft";
        "{subject} 处于 {state}；只有草稿才能修改订单行";
    LIVE_ORDER = "LIVE_ORDER", Precondition;
        "{subject} has {count} live order(s), such as {first}; close them out first";
        "{subject} 还有 {count} 个未完结订单，例如 {first}；请先对其消单";
    PARENT_CLOSED = "PARENT_CLOSED", Precondition;
        "{subject} is closed out by {close_out}; reopen it first";
        "{subject} 已由 {close_out} 消单；请先重新打开";
    COMPETITOR_INACTIVE = "COMPETITOR_INACTIVE", Precondition;
        "{subject} ({display_name}) is not active any more; name another competitor";
        "{subject}（{display_name}）已停用；请选择其他竞争对手";
    COMPETITOR_MERGED = "COMPETITOR_MERGED", Precondition;
        "{subject} ({display_name}) was merged into {merged_into}; name that one";
        "{subject}（{display_name}）已并入 {merged_into}；请改用后者";
    MERGED_STAYS = "COMPETITOR_MERGED", Precondition;
        "{subject} ({display_name}) was merged into {merged_into} and stays out of use; use that one, or merge this one into another";
        "{subject}（{display_name}）已并入 {merged_into}，不能再启用；请使用后者，或将其并入其他竞争对手";
    TARGET_INACTIVE = "COMPETITOR_INACTIVE", Precondition;
        "{subject} ({display_name}) is not active, so nothing can be merged into it; activate it first, or name another target";
        "{subject}（{display_name}）已停用，不能作为合并目标；请先启用，或选择其他目标";
    TARGET_MERGED = "COMPETITOR_MERGED", Precondition;
        "{subject} ({display_name}) was itself merged into {merged_into}; name that one as the target";
        "{subject}（{display_name}）本身已并入 {merged_into}；请以后者为合并目标";
    LAST_PIPELINE = "LAST_PIPELINE", Precondition;
        "{subject} is the only active pipeline; make or activate another one first";
        "{subject} 是唯一启用的管道；请先新建或启用其他管道";
    TASK_STATE = "TASK_STATE", Precondition;
        "{subject} is {state}; that is not possible any more";
        "{subject} 处于 {state}；不能再进行此操作";
    NOT_PARKED = "NOT_PARKED", Precondition;
        "{subject} is not parked; it is delivered without your doing";
        "{subject} 未被搁置；系统会自动送达";
    NOT_FULFILLED = "NOT_FULFILLED", Precondition;
        "{count} line(s) of {subject} are not fulfilled, the first is line {first}; record the fulfilment, or close it out as CANCELLED";
        "{subject} 有 {count} 行未履行，首个为第 {first} 行；请登记履行，或以 CANCELLED 消单";
    NOTHING_TO_CANCEL = "NOTHING_TO_CANCEL", Precondition;
        "everything of {subject} is fulfilled; close it out as PROCESSED";
        "{subject} 已全部履行；请以 PROCESSED 消单";
    REFUND_REFERENCE_REQUIRED = "REFUND_REFERENCE_REQUIRED", Precondition;
        "{subject} was paid for ({paid}); name the refund in refund_reference";
        "{subject} 已收款（{paid}）；请在 refund_reference 中填写退款凭证";
    PAID_SINCE = "PAID_SINCE", Precondition;
        "{subject} was paid for ({paid}) since its close-out was asked for; reject that, and have it asked for again";
        "{subject} 在发起消单后已收款（{paid}）；请驳回该消单后重新发起";
    OVERPAID = "REFUND_REFERENCE_REQUIRED", Precondition;
        "{subject} was paid for ({paid}), more than is left of it ({left}); name the refund in refund_reference";
        "{subject} 已收款 {paid}，超过剩余金额 {left}；请在 refund_reference 中填写退款凭证";
    NOTHING_LEFT = "NOTHING_LEFT", Precondition;
        "nothing would be left of {subject}; close it out as CANCELLED instead";
        "取消后 {subject} 将无剩余；请改为以 CANCELLED 消单";
    NEEDS_APPROVAL = "NEEDS_APPROVAL", Precondition;
        "{cancelled} would be cancelled of {subject}, more than one person may; close it out, which another person then approves";
        "{subject} 累计取消金额将达 {cancelled}，超过单人权限；请改为消单并由他人审批";
    REFUNDED = "REFUNDED", Precondition;
        "{subject} was refunded ({refund}); make a new order";
        "{subject} 已退款（{refund}）；请新建订单";
    STALE_VERIFICATION = "STALE_VERIFICATION", Precondition;
        "the customer's status was verified at {verified}, {code} allows {days} day(s); verify it again and close out {subject} with that";
        "客户状态核实于 {verified}，{code} 仅允许 {days} 天内的核实；请重新核实后再对 {subject} 消单";
    MERGED_FOR_GOOD = "MERGED", Precondition;
        "{subject} was merged into {target}; use that one";
        "{subject} 已并入 {target}；请使用后者";
    TARGET_NOT_ACTIVE = "MERGED", Precondition;
        "{subject} is {state}; merge into one that is in use";
        "{subject} 处于 {state}；请并入启用的原因";
    LAST_REASON = "LAST_REASON", Precondition;
        "{subject} is the last active reason of scope {scope}; activate or make another one first";
        "{subject} 是 {scope} 范围最后一个启用的原因；请先启用或新建其他原因";
    TOO_MANY_REASONS = "TOO_MANY_REASONS", Exhausted;
        "scope {scope} has {limit} reasons, the most allowed; change one that is not in use any more";
        "{scope} 范围已有 {limit} 个原因，达到上限；请修改不再使用的原因";
    TOO_MANY_CANCELLATIONS = "TOO_MANY_CANCELLATIONS", Exhausted;
        "a part of {subject} was cancelled {limit} times, the most allowed; close it out";
        "{subject} 已部分取消 {limit} 次，达到上限；请对其消单";
    TOO_MANY_TASKS = "TOO_MANY_OPEN", Exhausted;
        "{subject} has {limit} open tasks, the most allowed; close some first";
        "{subject} 已有 {limit} 个未完成任务，达到上限；请先关闭一些";
    TOO_MANY_DRAFTS = "TOO_MANY_OPEN", Exhausted;
        "{subject} has {limit} draft orders, the most allowed; close some out first";
        "{subject} 已有 {limit} 个草稿订单，达到上限；请先对一些消单";
    TOO_MANY_TO_CLOSE = "TOO_MANY_OPEN", Exhausted;
        "{subject} has more than {limit} open opportunities, the most that are closed out as one; close some of them out with a bulk call first";
        "{subject} 的进行中商机超过 {limit} 个，无法整体消单；请先用批量消单处理一部分";
    TOO_MANY_PIPELINES = "TOO_MANY_PIPELINES", Exhausted;
        "a tenant has at most {limit} pipelines; update and activate one that is not in use instead of making {subject}";
        "每个租户最多 {limit} 个管道；请更新并启用一个停用的管道，而不是新建 {subject}";
    PARENT_UNKNOWN = "PARENT_UNKNOWN", Precondition, again after 200 ms;
        "{subject} is not known here yet; if it exists, try again in a moment";
        "此处尚未收到 {subject}；如其存在，请稍后重试";
    CUSTOMER_UNKNOWN = "CUSTOMER_UNKNOWN", Precondition, again after 200 ms;
        "{subject} is not known here yet; if it exists, try again in a moment";
        "此处尚未收到 {subject}；如其存在，请稍后重试";

    // The service and its database.
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE", Unavailable, again after 500 ms;
        "the database is unavailable; nothing was done, try again";
        "数据库暂不可用；未做任何改动，请重试";
    PLAN_UNVERIFIABLE = "PLAN_UNVERIFIABLE", Unavailable, again after 1_000 ms;
        "the other service does not say now what it would do; nothing was done, try again, or close out without plan_hash";
        "另一服务暂时无法说明其影响；未做任何改动，请稍后重试，或不带 plan_hash 直接消单";
    COMMIT_UNKNOWN = "COMMIT_UNKNOWN", Unavailable, again after 500 ms;
        "it is unknown whether this was done; repeat it with the same request_id";
        "无法确定是否已完成；请用相同的 request_id 重试";
    CONTENTION = "CONTENTION", Aborted, again after 500 ms;
        "another change was in the way every time; nothing was done, try again";
        "多次与其他改动冲突；未做任何改动，请重试";
    OVERLOADED = "OVERLOADED", Exhausted, again after 200 ms;
        "too many calls are waiting; nothing was done, try again";
        "等待中的调用过多；未做任何改动，请重试";
    PROCESS_FULL = "OVERLOADED", Exhausted, again after 1_000 ms;
        "too many calls at once; nothing was done";
        "同时调用过多；未做任何改动";
    SHUTTING_DOWN = "SHUTTING_DOWN", Unavailable, again after 200 ms;
        "the service is shutting down; repeat the call with the same request_id";
        "服务正在关闭；请用相同的 request_id 重试";
    BULK_STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE", Unavailable, again after 500 ms;
        "the database is unavailable; open the call again with the same request_id and send every index that was not answered, or was answered with UNAVAILABLE";
        "数据库暂不可用；请用相同的 request_id 重新发起调用，并重发所有未得到答复或答复为 UNAVAILABLE 的 index";
    BULK_SHUTTING_DOWN = "SHUTTING_DOWN", Unavailable, again after 200 ms;
        "the service is shutting down; open the call again with the same request_id and send every index that was not answered";
        "服务正在关闭；请用相同的 request_id 重新发起调用，并重发所有未得到答复的 index";
    BULK_DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED", Deadline;
        "the caller's deadline has come; open the call again with the same request_id and send every index that was not answered";
        "已到调用方设定的期限；请用相同的 request_id 重新发起调用，并重发所有未得到答复的 index";
    RESUME_TOKEN_EXPIRED = "RESUME_TOKEN_EXPIRED", Precondition;
        "what changed since this resume_token is not kept any more, or it is of another database; watch without one, and once the first message is there list the records";
        "此 resume_token 之后的变更记录已不再保留，或它来自其他数据库；请不带令牌重新订阅，收到首条消息后再列出记录";
    TOO_MANY_WATCHES = "TOO_MANY_WATCHES", Exhausted, again after 5_000 ms;
        "this process has {most} watches already; end one, watch at another process, or list from time to time instead";
        "本进程已有 {most} 个订阅；请结束一个、连接其他进程，或改为定期列出";
    TOO_MANY_OWN_WATCHES = "TOO_MANY_WATCHES", Exhausted, again after 5_000 ms;
        "you have {most} watches at this process already; end one, or watch more with fewer filters";
        "您在本进程已有 {most} 个订阅；请结束一个，或以更少的筛选条件合并订阅";
    WATCH_TOO_SLOW = "WATCH_TOO_SLOW", Aborted;
        "a message was not taken within {seconds} seconds; go on with resume_token {resume_token}";
        "消息在 {seconds} 秒内未被接收；请用 resume_token {resume_token} 继续";
    WATCH_STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE", Unavailable, again after 500 ms;
        "the database is unavailable; go on with resume_token {resume_token}";
        "数据库暂不可用；请用 resume_token {resume_token} 继续";
    WATCH_SHUTTING_DOWN = "SHUTTING_DOWN", Unavailable, again after 200 ms;
        "the service is shutting down; go on with resume_token {resume_token}";
        "服务正在关闭；请用 resume_token {resume_token} 继续";
    WATCH_DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED", Deadline;
        "the caller's deadline has come; go on with resume_token {resume_token}";
        "已到调用方设定的期限；请用 resume_token {resume_token} 继续";
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED", Deadline;
        "the call took longer than its deadline or the server's limit; what it began may still take effect, and sending it again with the same request_id tells";
        "调用超过期限或服务器时限；已开始的操作仍可能生效，用相同的 request_id 重发即可得知";
    UNKNOWN_METHOD = "UNKNOWN_METHOD", Unknown;
        "this listener has no such method; server reflection lists those it has";
        "此端口没有该方法；可通过服务反射查看";
    INTERNAL = "INTERNAL", Internal;
        "an internal error; its details are in the log";
        "内部错误；详情见日志";

    // What a caller may not do.
    RIGHT_MISSING = "RIGHT_MISSING", Denied;
        "this needs the right {right}, which none of your roles has; ask an administrator of your tenant for a role that does";
        "此操作需要权限 {right}，您的角色均不具备；请向租户管理员申请具备该权限的角色";
    MADE_OUT_OF_REACH = "OUT_OF_REACH", Denied;
        "your right {right} reaches no further than {scope}, and this would be {owner}'s; make it your own, or name one of your teams if your right reaches them";
        "您的权限 {right} 范围为 {scope}，而新记录将归 {owner} 所有；请归自己所有，或在权限范围包含团队时填写您所在的团队";
    UNDO_OVER = "RIGHT_MISSING", Denied;
        "{subject} can be reopened with the right {right}, and for {minutes} minutes by {actor}, who closed it out; ask somebody who has that right";
        "重新打开 {subject} 需要权限 {right}；消单人 {actor} 可在 {minutes} 分钟内自行撤销；请联系具备该权限的人";
    OUT_OF_REACH = "OUT_OF_REACH", Denied;
        "your right {right} reaches no further than {scope}, and {subject} is owned by {owner}; ask them, or somebody whose right reaches further";
        "您的权限 {right} 范围为 {scope}，而 {subject} 归 {owner} 所有；请联系其本人或权限范围更大的人";
    SELF_APPROVAL = "SELF_APPROVAL", Denied;
        "{subject} was asked for by {actor}, so another person has to decide; withdraw it to take it back";
        "{subject} 由 {actor} 发起，须由他人审批；如需取消请撤回";
    NOT_REQUESTER = "NOT_REQUESTER", Denied;
        "{subject} was asked for by {actor}, who alone can withdraw it; reject it instead";
        "{subject} 由 {actor} 发起，只有其本人可以撤回；请改为驳回";
    // Callers.
    TENANT_MISSING = "TENANT_MISSING", Caller;
        "`x-tenant-id` is missing: a UUID in lower case with hyphens";
        "缺少 `x-tenant-id`：带连字符的小写 UUID";
    TENANT_INVALID = "TENANT_INVALID", Caller;
        "`x-tenant-id` must be given once, a UUID in lower case with hyphens";
        "`x-tenant-id` 必须且只能给出一次，为带连字符的小写 UUID";
    PRINCIPAL_MISSING = "PRINCIPAL_MISSING", Caller;
        "`x-principal` is missing: 1 to {most} visible ASCII characters, without spaces";
        "缺少 `x-principal`：1 至 {most} 个可见 ASCII 字符，不含空格";
    PRINCIPAL_INVALID = "PRINCIPAL_INVALID", Caller;
        "`x-principal` must be given once, with 1 to {most} visible ASCII characters, without spaces";
        "`x-principal` 必须且只能给出一次，为 1 至 {most} 个可见 ASCII 字符，不含空格";
    PRINCIPAL_RESERVED = "PRINCIPAL_INVALID", Caller;
        "`x-principal` must not be `{principal}`, the name under which the services themselves act";
        "`x-principal` 不得为 `{principal}`，该名称由服务自身使用";
    ROLES_INVALID = "ROLES_INVALID", Caller;
        "`x-roles` must be at most {most} names with commas between them, each a lower-case letter, then lower-case letters, digits and hyphens";
        "`x-roles` 最多 {most} 个名称，以逗号分隔；名称以小写字母开头，其后为小写字母、数字和连字符";
    TEAMS_INVALID = "TEAMS_INVALID", Caller;
        "`x-teams` must be at most {most} names with commas between them, of at most 128 characters, percent-encoded where they are not plain ASCII";
        "`x-teams` 最多 {most} 个名称，以逗号分隔，每个最多 128 个字符；非 ASCII 字符须使用百分号编码";
    PEER_TOKEN_INVALID = "PEER_TOKEN_INVALID", Caller;
        "`authorization` must be `Bearer` and the peer token that both services share";
        "`authorization` 必须为 `Bearer` 加两个服务共用的对等令牌";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(mut text: &str) -> Vec<&str> {
        let mut names = Vec::new();
        while let Some((_, name, after)) = next_value(text) {
            names.push(name);
            text = after;
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn both_languages_say_the_same_values() {
        for wording in ALL {
            assert_eq!(names(wording.en), names(wording.zh), "{}", wording.reason);
            assert!(!wording.zh.is_ascii(), "{}", wording.zh);
        }
    }

    #[test]
    fn a_reason_has_one_class_and_a_stable_form() {
        for (place, wording) in ALL.iter().enumerate() {
            let word = wording.reason;
            assert!(word.len() <= 63 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{word}");
            let mut others = ALL[place + 1..].iter().filter(|other| other.reason == word);
            assert!(others.all(|other| other.class == wording.class), "{word}");
        }
    }

    #[test]
    fn values_are_filled_in_where_they_stand() {
        let values = [("most", "200".to_owned()), ("count", "201".to_owned())];
        assert_eq!(TOO_LONG.text(Language::English, &values), "must have at most 200 characters, has 201");
        assert_eq!(TOO_LONG.text(Language::Chinese, &values), "最多 200 个字符，现有 201 个");
        let braces = [("subject", "{state}".to_owned()), ("state", "WON".to_owned())];
        assert_eq!(TASK_STATE.text(Language::English, &braces), "{state} is WON; that is not possible any more");
    }

    #[test]
    fn the_preferred_language_is_the_one_with_the_greatest_weight() {
        for (header, language) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("en-GB, zh;q=0.5", Language::English),
            ("fr, zh;q=0.3, en;q=0.2", Language::Chinese),
            ("zh;q=0, fr", Language::English),
            ("ZH_hans", Language::Chinese),
            ("", Language::English),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }
}
