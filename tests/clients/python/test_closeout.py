"""The two services called from Python with grpcio. Its twin for Node is `../node/closeout.test.js`."""

import os
import time
import unittest
import uuid

import grpc
from closeout import caller, connect, details
from crm.common.v1 import close_out_pb2, propagation_pb2, task_pb2
from crm.opportunity.v1 import close_out_service_pb2 as close_outs
from crm.opportunity.v1 import close_out_service_pb2_grpc, opportunity_service_pb2_grpc
from crm.opportunity.v1 import customer_service_pb2 as customers
from crm.opportunity.v1 import customer_service_pb2_grpc, task_service_pb2_grpc
from crm.opportunity.v1 import opportunity_service_pb2 as opportunities
from crm.opportunity.v1 import task_service_pb2 as tasks
from crm.order.v1 import customer_service_pb2 as order_customers
from crm.order.v1 import customer_service_pb2_grpc as order_customers_grpc
from crm.order.v1 import order_service_pb2 as orders
from crm.order.v1 import order_service_pb2_grpc
from crm.order.v1 import task_service_pb2 as order_tasks
from crm.order.v1 import task_service_pb2_grpc as order_tasks_grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.duration_pb2 import Duration
from google.type.money_pb2 import Money
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

OPPORTUNITY = os.environ.get("OPPORTUNITY_ADDRESS", "127.0.0.1:50051")
ORDER = os.environ.get("ORDER_ADDRESS", "127.0.0.1:50052")
DEADLINE = 10  # seconds, for each call
PATIENCE = Duration(seconds=8)  # how long a service may wait for the other one before it answers


class CloseOutTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sales, cls.trade = connect(OPPORTUNITY), connect(ORDER)
        cls.addClassCleanup(cls.sales.close)
        cls.addClassCleanup(cls.trade.close)
        cls.customers = customer_service_pb2_grpc.CustomerServiceStub(cls.sales)
        cls.opportunities = opportunity_service_pb2_grpc.OpportunityServiceStub(cls.sales)
        cls.tasks = task_service_pb2_grpc.TaskServiceStub(cls.sales)
        cls.close_outs = close_out_service_pb2_grpc.CloseOutServiceStub(cls.sales)
        cls.order_customers = order_customers_grpc.CustomerServiceStub(cls.trade)
        cls.orders = order_service_pb2_grpc.OrderServiceStub(cls.trade)
        cls.order_tasks = order_tasks_grpc.TaskServiceStub(cls.trade)

    def setUp(self):
        # A tenant exists as soon as it is used; one for each test keeps them apart.
        self.call = {"metadata": caller(str(uuid.uuid4()), "ana"), "timeout": DEADLINE}

    # --- How a client uses the services ---

    def create_opportunity(self):
        """A customer and an opportunity of it."""
        customer = self.customers.CreateCustomer(
            customers.CreateCustomerRequest(
                customer=customers.Customer(display_name="Brightwater Mills"), max_wait=PATIENCE
            ),
            **self.call,
        ).customer
        return self.opportunities.CreateOpportunity(
            opportunities.CreateOpportunityRequest(
                opportunity=opportunities.Opportunity(
                    customer=customer.name, title="Data platform", amount=Money(currency_code="EUR", units=1200)
                ),
                wait=propagation_pb2.WAIT_PEER,  # so that an order for it works at once
                max_wait=PATIENCE,
            ),
            **self.call,
        ).opportunity

    def create_task(self, opportunity):
        """A selling task, on the opportunity service."""
        task = task_pb2.Task(parent=opportunity.name, kind=task_pb2.TASK_KIND_QUOTE, title="Send the offer")
        return self.tasks.CreateTask(tasks.CreateTaskRequest(task=task), **self.call).task

    def create_order(self, opportunity):
        """A draft order of the opportunity, on the order service."""
        line = orders.OrderLine(product="Platform", quantity=2, unit_price=Money(currency_code="EUR", units=600))
        order = orders.Order(customer=opportunity.customer, opportunity=opportunity.name, lines=[line])
        return self.orders.CreateOrder(orders.CreateOrderRequest(order=order), **self.call).order

    def create_order_task(self, order):
        """An order task, on the order service."""
        task = task_pb2.Task(parent=order.name, kind=task_pb2.TASK_KIND_PROCURE, title="Reserve the servers")
        return self.order_tasks.CreateTask(order_tasks.CreateTaskRequest(task=task), **self.call).task

    def close_out(self, opportunity, **more):
        """Closes an opportunity out, and waits for both sides."""
        request = opportunities.CloseOutOpportunityRequest(
            name=opportunity.name, reason="closeOutReasons/BUDGET_FROZEN", max_wait=PATIENCE, **more
        )
        return self.opportunities.CloseOutOpportunity(request, **self.call)

    def order(self, order):
        return self.orders.GetOrder(orders.GetOrderRequest(name=order.name), **self.call).order

    def order_task(self, task):
        return self.order_tasks.GetTask(order_tasks.GetTaskRequest(name=task.name), **self.call).task

    def task(self, task):
        return self.tasks.GetTask(tasks.GetTaskRequest(name=task.name), **self.call).task

    def trade_record(self, opportunity):
        """The customer's record on the order service."""
        request = order_customers.GetCustomerRequest(name=opportunity.customer)
        return self.order_customers.GetCustomer(request, **self.call).customer

    def settled(self, close_out):
        """The close-out as it is kept, once what the other side answered is kept: a moment after the caller learns of it."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            request = close_outs.GetCloseOutRequest(name=close_out.name)
            kept = self.close_outs.GetCloseOut(request, **self.call).close_out
            if kept.propagation == propagation_pb2.PROPAGATION_SETTLED:
                return kept
        self.fail(f"{close_out.name} is still not settled")

    # --- The tests ---

    def test_a_close_out_takes_effect_on_both_services(self):
        opportunity = self.create_opportunity()
        task = self.create_task(opportunity)
        order = self.create_order(opportunity)
        order_task = self.create_order_task(order)
        self.assertEqual(self.trade_record(opportunity).draft_count, 1)

        answer = self.close_out(opportunity, detail="Their budget is frozen until spring.")
        self.assertEqual(answer.opportunity.state, opportunities.Opportunity.STATE_CLOSED_OUT)
        self.assertEqual(answer.close_out.outcome, close_out_pb2.OUTCOME_LOST)
        self.assertEqual(answer.close_out.propagation, propagation_pb2.PROPAGATION_SETTLED)

        self.assertEqual(self.task(task).state, task_pb2.TASK_STATE_CANCELLED)
        self.assertEqual(self.order(order).state, orders.Order.STATE_CANCELLED)
        self.assertEqual(self.order_task(order_task).state, task_pb2.TASK_STATE_CANCELLED)
        record = self.trade_record(opportunity)
        self.assertEqual((record.draft_count, record.cancelled_count, record.deals_lost), (0, 1, 1))

        # Each effect has its receipt, wherever it took place.
        receipts = [(effect.side, effect.kind, effect.resource) for effect in answer.close_out.effects]
        cancelled, changed = close_out_pb2.EFFECT_KIND_TASK_CANCELLED, close_out_pb2.EFFECT_KIND_RECORD_CHANGED
        self.assertIn((close_out_pb2.SIDE_OPPORTUNITY, cancelled, task.name), receipts)
        self.assertIn((close_out_pb2.SIDE_OPPORTUNITY, changed, opportunity.customer), receipts)
        self.assertIn((close_out_pb2.SIDE_ORDER, cancelled, order_task.name), receipts)
        self.assertIn((close_out_pb2.SIDE_ORDER, changed, opportunity.customer), receipts)
        self.assertEqual(self.settled(answer.close_out), answer.close_out)

    def test_every_fault_of_a_request_is_named_with_its_field(self):
        with self.assertRaises(grpc.RpcError) as raised:
            request = opportunities.CloseOutOpportunityRequest(name="opportunities/seven", detail="x" * 2001)
            self.opportunities.CloseOutOpportunity(request, **self.call)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        found = details(raised.exception)
        self.assertEqual((found["ErrorInfo"].domain, found["ErrorInfo"].reason), ("closeout.crm", "INVALID_FIELDS"))
        fields = {violation.field for violation in found["BadRequest"].field_violations}
        self.assertEqual(fields, {"name", "reason", "detail"})

    def test_what_is_closed_out_is_not_closed_out_again(self):
        opportunity = self.create_opportunity()
        self.close_out(opportunity)
        with self.assertRaises(grpc.RpcError) as raised:
            self.close_out(opportunity)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)
        found = details(raised.exception)
        self.assertEqual((found["ErrorInfo"].domain, found["ErrorInfo"].reason), ("closeout.crm", "ALREADY_CLOSED"))
        (violation,) = found["PreconditionFailure"].violations
        self.assertEqual((violation.type, violation.subject), ("ALREADY_CLOSED", opportunity.name))

    def test_a_repeated_request_id_gets_the_same_answer_and_has_no_second_effect(self):
        opportunity = self.create_opportunity()
        request_id = str(uuid.uuid4())
        first = self.close_out(opportunity, request_id=request_id)
        second = self.close_out(opportunity, request_id=request_id)
        self.assertEqual(first, second)
        request = close_outs.ListCloseOutsRequest(subject=opportunity.name)
        self.assertEqual(len(self.close_outs.ListCloseOuts(request, **self.call).close_outs), 1)
        self.assertEqual(self.trade_record(opportunity).deals_lost, 1)

    def test_a_request_id_is_refused_with_another_request(self):
        opportunity = self.create_opportunity()
        request_id = str(uuid.uuid4())
        self.close_out(opportunity, request_id=request_id)
        with self.assertRaises(grpc.RpcError) as raised:
            self.close_out(opportunity, request_id=request_id, detail="Something else.")
        self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT)
        info = details(raised.exception)["ErrorInfo"]
        self.assertEqual((info.domain, info.reason), ("closeout.crm", "IDEMPOTENCY_KEY_REUSED"))

    def test_many_are_closed_out_in_one_call_and_again_with_the_same_answers(self):
        both = [self.create_opportunity(), self.create_opportunity()]
        Part = opportunities.BulkCloseOutOpportunitiesRequest
        names = [one.name for one in both] + ["opportunities/" + str(uuid.uuid4())]
        items = [
            Part.Item(index=index, name=name, reason="closeOutReasons/BUDGET_FROZEN")
            for index, name in enumerate(names)
        ]
        call = Part(request_id=str(uuid.uuid4()), wait=propagation_pb2.WAIT_PEER, max_wait=PATIENCE)

        def answers():
            messages = [call, Part(items=items[:2]), Part(items=items[2:])]
            replies = self.opportunities.BulkCloseOutOpportunities(iter(messages), **self.call)
            return sorted((result for reply in replies for result in reply.results), key=lambda result: result.index)

        first = answers()
        self.assertEqual([result.WhichOneof("outcome") for result in first], ["done", "done", "error"])
        settled = propagation_pb2.PROPAGATION_SETTLED
        self.assertEqual([result.done.propagation for result in first[:2]], [settled, settled])
        self.assertEqual(first[2].error.code, grpc.StatusCode.NOT_FOUND.value[0])
        self.assertEqual(
            [result.done.close_out for result in answers()[:2]], [result.done.close_out for result in first[:2]]
        )
        self.assertEqual([self.trade_record(one).deals_lost for one in both], [1, 1])

    def test_a_reopening_takes_everything_back_on_both_services(self):
        opportunity = self.create_opportunity()
        task = self.create_task(opportunity)
        order = self.create_order(opportunity)
        order_task = self.create_order_task(order)
        self.close_out(opportunity)

        request = opportunities.ReopenOpportunityRequest(
            name=opportunity.name, note="The budget is back.", max_wait=PATIENCE
        )
        answer = self.opportunities.ReopenOpportunity(request, **self.call)
        self.assertEqual(answer.opportunity.state, opportunities.Opportunity.STATE_OPEN)
        self.assertEqual(answer.close_out.state, close_out_pb2.CLOSE_OUT_STATE_REVERSED)
        self.assertEqual(answer.propagation, propagation_pb2.PROPAGATION_SETTLED)

        self.assertEqual(self.task(task).state, task_pb2.TASK_STATE_OPEN)
        self.assertEqual(self.order(order).state, orders.Order.STATE_DRAFT)
        self.assertEqual(self.order_task(order_task).state, task_pb2.TASK_STATE_OPEN)
        record = self.trade_record(opportunity)
        self.assertEqual((record.draft_count, record.cancelled_count, record.deals_lost), (1, 0, 0))

    def test_both_services_say_that_they_are_serving(self):
        for channel in (self.sales, self.trade):
            request = health_pb2.HealthCheckRequest()
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=DEADLINE)
            self.assertEqual(answer.status, health_pb2.HealthCheckResponse.SERVING)

    def test_reflection_names_the_public_services_and_no_others_of_ours(self):
        def ours(channel):
            names = ProtoReflectionDescriptorDatabase(channel).get_services()
            return {name for name in names if name.startswith("crm.")}

        records = ("CloseOutReasonService", "CloseOutService", "CustomerService")
        both = (*records, "OperatorService", "SettingsService", "TaskService")
        sales = ("CompetitorService", "CustomerCloseOutService", "ExchangeRateService", "OpportunityService")
        sales = (*sales, "PipelineService", "StaleService", "WinBackService")
        self.assertEqual(ours(self.sales), {f"crm.opportunity.v1.{name}" for name in (*both, *sales)})
        self.assertEqual(ours(self.trade), {f"crm.order.v1.{name}" for name in (*both, "OrderService")})

    def test_reflection_knows_what_the_details_of_errors_are(self):
        for channel in (self.sales, self.trade):
            pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
            for name in ("ErrorInfo", "BadRequest", "PreconditionFailure", "RetryInfo", "LocalizedMessage"):
                self.assertEqual(pool.FindMessageTypeByName(f"google.rpc.{name}").name, name)


if __name__ == "__main__":
    unittest.main()
